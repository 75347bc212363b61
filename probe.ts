import * as Schema from "effect/Schema"
import { jsonlFormat, jsonOf } from "./src/io/files/format/JsonFormat.ts"
import { Refusal } from "./src/io/files/Format.ts"
const t = (name: string, s: any, ...texts: string[]) => { const { parse, print } = jsonOf(s as any, "fix"); for (const x of texts) { const v: any = parse(x); console.log(name, x.slice(0,80), "=>", v instanceof Refusal ? `REFUSED ${v.field}: ${v.reason}` : (typeof v, v), v instanceof Refusal ? "" : (()=>{const p: any=print(v as never); return p instanceof Refusal ? "print refused "+p.reason : p})()) } }
const S = Schema.Struct
t("BigInt", S({ id: Schema.BigInt }), '{"id":5}', '{"id":"5"}', '{"id":12345678901234567890}', '{"id":-9007199254740993}', '{"id":0.5}','{"id":1e20}', '{"id":-0}', '{"id":"x"}')
t("Number", S({ id: Schema.Number }), '{"id":9007199254740992}', '{"id":9007199254740993}', '{"id":18446744073709552000}', '{"id":12345678901234567890}', '{"id":0.12345678901234567890}', '{"id":1e400}', '{"id":-0}', `{"id":${"9".repeat(400)}}`, '{"id":"NaN"}', '{"id":0.30000000000000004}', '{"id":12345678901234567890.5}')
t("Finite", S({ id: Schema.Finite }), '{"id":9007199254740992}', '{"id":9007199254740993}', '{"id":1e400}')
t("Int", S({ id: Schema.Int }), '{"id":9007199254740992}', '{"id":9007199254740993}')
t("Unknown", S({ id: Schema.Unknown }), '{"id":9007199254740992}', '{"id":{"a":[9007199254740993]}}')
t("Json", S({ id: Schema.Json }), '{"id":9007199254740992}', '{"id":{"a":[9007199254740993]}}')
t("Any", S({ id: Schema.Any }), '{"id":9007199254740992}', '{"id":{"a":[9007199254740993]}}')
t("String", S({ id: Schema.String }), '{"id":"9007199254740993"}', '{"id":9007199254740993}')
t("BigDecimal", S({ id: Schema.BigDecimal }), '{"id":9007199254740993}', '{"id":"0.1"}', '{"id":0.1}', '{"id":3}')
t("Union", Schema.Union([Schema.BigInt, Schema.Number]), '5', '"5"', '9007199254740993', '9007199254740992', '0.5')
t("NullOr", Schema.NullOr(Schema.BigInt), 'null', '5', '9007199254740993')
t("optional", S({ id: Schema.optionalKey(Schema.BigInt) }), '{}', '{"id":7}')
t("Array", Schema.Array(Schema.BigInt), '[1,"2",9007199254740993]', '[]', '[null]')
t("Tuple", Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.BigInt, Schema.Boolean]), '["a",1,9007199254740993,true]')
t("Record", Schema.Record(Schema.String, Schema.BigInt), '{"a":1,"__proto__":9007199254740993}')
t("lit", Schema.Literal(5n), '5', '"5"')
t("tagged", Schema.Union([S({ k: Schema.Literal("a"), v: Schema.Number }), S({ k: Schema.Literal("b"), v: Schema.BigInt })]), '{"k":"a","v":5}', '{"k":"b","v":5}', '{"k":"b","v":9007199254740993}', '{"k":"a","v":9007199254740993}')
interface T { v: bigint; kids: ReadonlyArray<T> }
const Tree: any = S({ v: Schema.BigInt, kids: Schema.Array(Schema.suspend((): any => Tree)) })
t("tree", Tree, '{"v":1,"kids":[{"v":"2","kids":[{"v":9007199254740993,"kids":[]}]}]}')
t("dup", S({ a: Schema.Number }), '{"a":1,"a":2}', '{"__proto__":{"a":1}}')
t("class", class C extends Schema.Class<C>("C")({ id: Schema.BigInt }) {}, '{"id":9007199254740993}')
t("Date/opt", S({ d: Schema.Date, n: Schema.UndefinedOr(Schema.BigInt) }), '{"d":"2020-01-01T00:00:00.000Z","n":9007199254740993}')
t("encodeKeys", S({ id: Schema.BigInt }).pipe(Schema.encodeKeys({ id: "ID" })), '{"ID":9007199254740993}')
t("encodeKeys", S({ id: Schema.Number }).pipe(Schema.encodeKeys({ id: "ID" })), '{"ID":9007199254740993}')
t("checks", Schema.BigInt.check(Schema.isGreaterThanBigInt(3n)), '5', '2')
t("syntax", Schema.Unknown, '{', '[1,]', '')
t("deep", Schema.Unknown, '['.repeat(100000)+']'.repeat(100000), '['.repeat(100000)+'12345678901234567890'+']'.repeat(100000))
