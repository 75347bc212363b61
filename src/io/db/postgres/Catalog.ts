/** What PostgreSQL knows of a table. */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Found } from "../Dialect.ts"
import { quote } from "../Sql.ts"
import * as Types from "./Types.ts"

/** The columns of a table, and which of their types are no part of PostgreSQL; none where there is no table. */
export const columns = (
  sql: SqlClient,
  table: string
): Effect.Effect<{ readonly found: ReadonlyArray<Found>; readonly known: Types.Known }, SqlError> =>
  Effect.map(
    sql<ColumnRow>`
      WITH RECURSIVE there AS (
        SELECT attnum, attname, atttypid, atttypmod, attnotnull, atthasdef, attidentity, attgenerated
        FROM pg_catalog.pg_attribute
        WHERE attrelid = (${tableId(sql, table)}) AND attnum > 0 AND NOT attisdropped
      ),
      -- A domain is what it is made of, with its length.
      kept AS (
        SELECT t.oid AS declared, 0 AS depth, t.oid, NULL::integer AS size, t.typnotnull AS required, t.typdefault IS NOT NULL AS filled
        FROM pg_catalog.pg_type t WHERE t.oid IN (SELECT atttypid FROM there)
        UNION ALL
        SELECT k.declared, k.depth + 1, b.oid, d.typtypmod, k.required OR b.typnotnull, k.filled OR b.typdefault IS NOT NULL
        FROM kept k JOIN pg_catalog.pg_type d ON d.oid = k.oid AND d.typtype = 'd' JOIN pg_catalog.pg_type b ON b.oid = d.typbasetype
      ),
      base AS (SELECT DISTINCT ON (declared) * FROM kept ORDER BY declared, depth DESC)
      SELECT a.attname AS "name",
        pg_catalog.format_type(a.atttypid, a.atttypmod) AS "type",
        a.attnotnull OR base.required AS "notNull",
        a.atthasdef OR base.filled OR a.attidentity <> '' AS "hasDefault",
        a.attgenerated <> '' OR a.attidentity = 'a' AS "computed",
        CASE WHEN base.depth > 0 THEN pg_catalog.format_type(base.oid, base.size) END AS "base",
        CASE WHEN item.oid IS NOT NULL THEN pg_catalog.format_type(item.oid, NULL) ELSE pg_catalog.format_type(base.oid, NULL) END AS "named",
        ${jsonOf(sql)}(
          SELECT enumlabel::text FROM pg_catalog.pg_enum WHERE enumtypid = coalesce(item.oid, base.oid) ORDER BY enumsortorder
        ))::text AS "labels",
        -- "char" has quotes, citext has a schema.
        coalesce(item.typname, t.typname)::text AS "typeName"
      FROM there a
        JOIN base ON base.declared = a.atttypid
        JOIN pg_catalog.pg_type t ON t.oid = base.oid
        LEFT JOIN pg_catalog.pg_type item ON item.oid = t.typelem AND t.typcategory = 'A'
      ORDER BY a.attnum`.withoutTransform,
    (rows) => {
      const known = new Map<string, Types.Type>()
      for (const { labels: text, named, typeName } of rows) {
        const labels = namesIn(text)
        if (labels.length > 0) known.set(named, { form: "text", cast: named, sized: false, labels: new Set(labels) })
        else if (typeName === "citext") known.set(named, { form: "text", cast: named, sized: false })
      }
      for (const { base, type } of rows) {
        const resolved = base === null ? undefined : Types.of(base, known)
        if (resolved !== undefined) known.set(type, resolved)
      }
      return {
        known,
        found: rows.map(({ computed, hasDefault, name, notNull, type }) => ({
          name,
          type,
          notNull,
          filled: !notNull || hasDefault,
          computed
        }))
      }
    }
  )

interface ColumnRow {
  readonly name: string
  readonly type: string
  readonly notNull: boolean
  readonly hasDefault: boolean
  readonly computed: boolean
  readonly base: string | null
  readonly named: string
  readonly labels: string
  readonly typeName: string
}

export interface Facts {
  /** Whether COPY does with it what INSERT does: it obeys neither rules nor the policies of rows. */
  readonly copies: boolean
  /** Whether it has triggers of somebody's. */
  readonly triggers: boolean
  /** Constraints that are checked at the end of a transaction, as SQL names them. */
  readonly deferred: ReadonlyArray<string>
  /** What is unique only at the end of a statement or transaction: the columns of each such constraint. */
  readonly late: ReadonlyArray<ReadonlyArray<string>>
  /** The columns of each constraint and unique index. */
  readonly constraints: ReadonlyMap<string, ReadonlyArray<string>>
  /** Columns whose texts may be the same without being equal. */
  readonly loose: ReadonlySet<string>
  /** What `lastingIdentity` says for as long as nobody alters or replaces it. */
  readonly identity: string | null
}

export const facts = (sql: SqlClient, table: string, columns: ReadonlyArray<string>): Effect.Effect<Facts, SqlError> =>
  Effect.map(
    sql<FactsRow>`
      SELECT c.relkind IN ('r', 'p')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid AND ev_type = '3')
          AND NOT pg_catalog.row_security_active(c.oid) AS "copies",
        EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) AS "triggers",
        ${jsonOf(sql)}(
          SELECT pg_catalog.format('%I.%I', n.nspname, o.conname)
          FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace
          WHERE o.conrelid = c.oid AND o.condeferred
          ORDER BY o.conname
        ))::text AS "deferred",
        ${jsonOf(sql)}(
          SELECT pg_catalog.to_json(${namesOf(sql, "i.indkey::int2[]")})
          FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indimmediate
        ))::text AS "late",
        (
          SELECT pg_catalog.jsonb_object_agg(named.name, named.columns)::text FROM (
            SELECT o.conname::text AS name, ${namesOf(sql, "o.conkey")} AS columns
            FROM pg_catalog.pg_constraint o WHERE o.conrelid = c.oid AND o.conkey IS NOT NULL
            UNION ALL
            SELECT x.relname::text, ${namesOf(sql, "i.indkey::int2[]")}
            FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisunique
          ) named
        ) AS "constraints",
        ${jsonOf(sql)}(
          SELECT a.attname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT l.collisdeterministic
        ))::text AS "loose",
        (${sql.literal(columns.length === 0 ? "NULL" : identity(table, columns))})::text AS "identity"
      FROM pg_catalog.pg_class c WHERE c.oid = (${tableId(sql, table)})`.withoutTransform,
    ([row]) => ({
      copies: row?.copies ?? false,
      triggers: row?.triggers ?? true,
      deferred: namesIn(row?.deferred),
      late: JSON.parse(row?.late ?? "[]"),
      constraints: new Map(Object.entries<ReadonlyArray<string>>(JSON.parse(row?.constraints ?? "{}"))),
      loose: new Set(namesIn(row?.loose)),
      identity: row?.identity ?? null
    })
  )

interface FactsRow {
  readonly copies: boolean
  readonly triggers: boolean
  readonly deferred: string
  readonly late: string
  readonly constraints: string | null
  readonly loose: string
  readonly identity: string | null
}

/** Which table it is, and what types these of its columns have. */
const identity = (table: string, columns: ReadonlyArray<string>): string => {
  const id = `pg_catalog.to_regclass(pg_catalog.quote_ident(${literal(table)}))`
  return `SELECT ${id}::oid || ' ' || pg_catalog.string_agg(attname || ' ' || atttypid, ' ' ORDER BY attnum) AS identity
    FROM pg_catalog.pg_attribute
    WHERE attrelid = ${id} AND NOT attisdropped AND attname IN (${columns.map(literal).join(", ")})`
}

/** A script whose last row has that; it stays so for the rest of the transaction, as to explain an INSERT takes the lock of one. */
export const lastingIdentity = (table: string, columns: ReadonlyArray<string>): string =>
  `EXPLAIN INSERT INTO ${quote(table)} (${quote(columns[0]!)}) SELECT NULL WHERE false; ${identity(table, columns)}`

/** A text as SQL has it, whatever `standard_conforming_strings` is. */
const literal = (text: string): string => `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`

/** As SQL finds it by its bare name. */
const tableId = (sql: SqlClient, table: string) =>
  sql`SELECT pg_catalog.to_regclass(pg_catalog.quote_ident(${table}))::oid`

/** An array as JSON, as drivers give arrays as they like. */
const jsonOf = (sql: SqlClient) => sql.literal("pg_catalog.to_json(ARRAY")

const namesIn = (text = "[]"): ReadonlyArray<string> => JSON.parse(text)

/** The names of columns by their numbers, in their order. */
const namesOf = (sql: SqlClient, numbers: string) =>
  sql.literal(
    `ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(${numbers}) WITH ORDINALITY AS u(number, place)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number ORDER BY u.place)`
  )

export const schemaOf = (sql: SqlClient, table: string): Effect.Effect<string | undefined, SqlError> =>
  Effect.map(
    sql<{ schema: string | null }>`SELECT coalesce((SELECT n.nspname FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident(${table}))), pg_catalog.current_schema()) AS schema`,
    ([row]) => row?.schema ?? undefined
  )
