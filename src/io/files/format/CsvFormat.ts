/** Records of RFC 4180, with fields by the names of their columns. */
import type * as Schema from "effect/Schema"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { type Cutter, type Format, Refusal, type Start } from "../Format.ts"
import { CsvColumns } from "./CsvColumns.ts"
import { type Cell, CsvCutter, type CutOptions, quotedEmpty } from "./CsvCutter.ts"
import { fixElement } from "./LinesFormat.ts"

export interface CsvFormatOptions {
  /** One character, such as a tab. Default `,`. */
  readonly delimiter?: string
  /** One character; false where nothing is quoted and a quote is a character as any other. Default `"`. */
  readonly quote?: string | false
  /**
   * Whether the first record has the names of the columns. Where it does not, they are the fields of the schema in their order, or
   * the names given here. Default true.
   */
  readonly header?: boolean | ReadonlyArray<string>
  /** As a sink: what ends a record. Default `\n`; as a source, `\n`, `\r\n` and `\r` all do. */
  readonly newline?: "\n" | "\r\n"
}

/** A header may have so many bytes, as it is read again where reading goes on further behind. */
const headerSize = 1024 * 1024

export const csvFormat = <A>(
  schema: Schema.Codec<A, unknown>,
  { delimiter = ",", header = true, newline = "\n", quote = '"' }: CsvFormatOptions,
  maxLine: number
): Format<A> => {
  checkMark("delimiter", delimiter)
  if (quote !== false) checkMark("quote", quote)
  if (quote === delimiter) throw new TypeError(`Files.csv: quote and delimiter are both ${JSON.stringify(quote)}`)
  if (newline !== "\n" && newline !== "\r\n") {
    throw new TypeError(String.raw`Files.csv: newline has to be "\n" or "\r\n", not ${JSON.stringify(newline)}`)
  }
  const columns = new CsvColumns(schema)
  const names = typeof header === "boolean" ? columns.names : checkNames(header)
  const decode = columns.decoder(names)
  if (decode instanceof Refusal) throw new TypeError(`Files.csv: header: ${decode.reason}`)
  const options: CutOptions = { delimiter, quote: quote === false ? undefined : quote, maxLine }
  const encode = columns.encoder(names)
  const print = printer(options, names)
  const first = header === true ? print(names) : ""
  if (first instanceof Refusal) throw new TypeError(`Files.csv: a column name cannot be written: ${first.reason}`)
  return {
    name: "csv",
    form: { delimiter, quote, columns: [...names] },
    ...(header === true && { head: headerSize, follows: (head) => follows(head, names, options) }),
    cut: (start) =>
      header === true
        ? cutBelowHeader(start, columns, options)
        : new CsvCutter(start, { blanks: columns.takesBlanks(names), header: undefined, parse: decode }, options),
    print: (element) => {
      const cells = encode(element)
      return cells instanceof Refusal ? cells : print(cells)
    },
    ends: "\r\n",
    layout: { terminator: newline, ...(header === true && { header: first + newline }) }
  }
}

const checkMark = (name: string, mark: unknown): void => {
  if (typeof mark !== "string" || mark.length !== 1 || /[\r\n\ufeff\ud800-\udfff]/.test(mark)) {
    throw new TypeError(`Files.csv: ${name} has to be one character and no line break, not ${JSON.stringify(mark)}`)
  }
}

const checkNames = (names: unknown): ReadonlyArray<string> => {
  if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== "string")) {
    throw new TypeError("Files.csv: header has to be true, false, or a list of the names of the columns")
  }
  return names
}

/** Of a file whose first record names the columns: also where it is started behind that. */
const cutBelowHeader = <A>(start: Start, columns: CsvColumns<A>, options: CutOptions): Cutter<A> => {
  let decode: ((cells: ReadonlyArray<Cell>) => A | Refusal) | undefined
  const records = {
    blanks: false,
    header: (cells: ReadonlyArray<Cell>, end: number): Refusal | undefined => {
      if (end > headerSize) return longHeader
      const names = cells.map((cell) => (cell === quotedEmpty ? "" : cell))
      const found = columns.decoder(names)
      if (found instanceof Refusal) return found
      decode = found
      records.blanks = columns.takesBlanks(names)
      return undefined
    },
    parse: (cells: ReadonlyArray<Cell>): A | Refusal => decode!(cells)
  }
  if (start.at === 0) return new CsvCutter(start, records, options)
  // What follows the header there is not looked at.
  const above = new CsvCutter({ at: 0, before: undefined }, { ...records, parse: () => longHeader }, options)
  above.space().set(start.head)
  above.add(start.head.length)
  above.next()
  const cutter = new CsvCutter(start, { ...records, blanks: records.blanks, header: undefined }, options)
  if (decode === undefined) cutter.problem = { offset: 0, refusal: above.problem?.refusal ?? longHeader }
  return cutter
}

/** Below other columns, or these in another order, records would be read as what they are not. */
const follows = (head: Uint8Array, names: ReadonlyArray<string>, options: CutOptions): Refusal | undefined => {
  let refusal: Refusal | undefined
  const header = (cells: ReadonlyArray<Cell>): Refusal => {
    const there = cells.map((cell) => (cell === quotedEmpty ? "" : cell))
    if (there.length !== names.length || there.some((name, i) => name !== names[i])) {
      const [is, would] = [there, names].map((all) => all.map((name) => JSON.stringify(name)).join(", "))
      refusal = new Refusal(
        `its columns are ${is}, and below them would be ${would}`,
        "Write to another file, or let the schema have the same fields in the same order."
      )
    }
    return longHeader
  }
  const cutter = new CsvCutter(
    { at: 0, before: undefined },
    { blanks: false, header, parse: () => longHeader },
    options
  )
  cutter.space().set(head)
  cutter.add(head.length)
  if (head.length > 0) cutter.add(0)
  cutter.next()
  return refusal
}

const longHeader = new Refusal(
  `its header is longer than ${headerSize} bytes`,
  "Look whether a quote is not closed there, or name the columns in `header`."
)

/** A record of these cells, without its line end. */
const printer = ({ delimiter, quote }: Pick<CutOptions, "delimiter" | "quote">, names: ReadonlyArray<string>) => {
  // A byte order mark at the start of a file would be taken for one.
  const special = new RegExp(`[\\r\\n\\ufeff${[delimiter, quote ?? ""].map(escaped).join("")}]`)
  return (cells: ReadonlyArray<Cell>): string | Refusal => {
    let record = ""
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]!
      if (i > 0) record += delimiter
      if (cell === quotedEmpty || special.test(cell)) {
        if (quote === undefined) return unquotable(cell, names[i])
        record += quote + (cell === quotedEmpty ? "" : cell.replaceAll(quote, quote + quote)) + quote
      } else record += cell
    }
    if (record.isWellFormed()) return record
    const at = cells.findIndex((cell) => cell !== quotedEmpty && !cell.isWellFormed())
    return new Refusal(`it ${JsonText.noUtf8}`, fixElement, names[at])
  }
}

const escaped = (text: string): string => text && `\\u${text.charCodeAt(0).toString(16).padStart(4, "0")}`

const unquotable = (cell: Cell, name: string | undefined): Refusal =>
  new Refusal(
    cell === quotedEmpty
      ? "it is an empty text, which without quotes would be read as left out"
      : "it has a delimiter or a line break in it, which is not possible without quotes",
    "Give a `quote`, or another `delimiter`.",
    name
  )
