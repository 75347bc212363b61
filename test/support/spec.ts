/** The rules of `docs/spec` and the tests that hold them, as functions of texts. */

export interface Rule {
  readonly name: string
  readonly sentence: string
  /** None where the rule is marked as `_(missing)_`. */
  readonly tests: ReadonlyArray<{ readonly file: string; readonly title: string }>
  readonly isMissing: boolean
}

/** The rules of a document: a line each, `- **S1** What holds. `test/A.test.ts` "the title of a test"; …`. */
export const rulesOf = (document: string): ReadonlyArray<Rule> =>
  [...document.matchAll(/^- \*\*([A-Z]\d+)\*\* (.*)$/gm)].map(([, name = "", line = ""]) => {
    const cited = [...line.matchAll(/`(test\/[^`]+)` "([^"]+)"/g)]
    const isMissing = line.endsWith("_(missing)_")
    const end = cited[0]?.index ?? line.indexOf("_(missing)_")
    return {
      name,
      sentence: line.slice(0, end < 0 ? undefined : end).trim(),
      tests: cited.map(([, file = "", title = ""]) => ({ file, title })),
      isMissing
    }
  })

/** What is wrong with a rule, a line each; `read` gives the text of a file, where there is one. */
export const problemsOf = (rule: Rule, read: (file: string) => string | undefined): ReadonlyArray<string> => {
  const { isMissing, name, sentence, tests } = rule
  const wrong = (what: string) => `${name}: ${what}`
  if (!/^[A-Z`].*\.$/.test(sentence)) return [wrong("is not a sentence")]
  if (isMissing !== (tests.length === 0)) return [wrong("has either tests or is marked as missing")]
  return tests.flatMap(({ file, title }) => {
    const text = read(file)
    if (text === undefined) return [wrong(`there is no ${file}`)]
    const titles = titlesOf(text, title)
    if (titles === undefined) return [wrong(`${file} has no test "${title}"`)]
    return namesIn(titles.join(" ")).includes(name) ? [] : [wrong(`neither "${title}" nor its describe names it`)]
  })
}

/** The names of rules in a text, such as a comment. */
export const namesIn = (text: string): ReadonlyArray<string> => text.match(/\b[SP][1-9]\d?\b/g) ?? []

/** The title with those of the describes around it, told by their indentation. */
const titlesOf = (text: string, title: string): ReadonlyArray<string> | undefined => {
  const lines = text.split("\n")
  const at = lines.findIndex((line) => ['"', "'", "`"].some((quote) => line.includes(quote + title + quote)))
  if (at < 0) return undefined
  let indent = indentOf(lines[at]!)
  const around = lines
    .slice(0, at)
    .toReversed()
    .flatMap((line) => {
      const [, describe] = /^\s*describe\b[^"'`]*["'`](.*)["'`]/.exec(line) ?? []
      if (describe === undefined || indentOf(line) >= indent) return []
      indent = indentOf(line)
      return [describe]
    })
  return [title, ...around]
}

const indentOf = (line: string): number => line.length - line.trimStart().length
