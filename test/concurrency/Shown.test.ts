import { describe, expect, it } from "vitest"
import * as Secrets from "../../src/concurrency/base/Secrets.ts"
import * as Shown from "../../src/concurrency/base/Shown.ts"

describe("secrets", () => {
  it.each([
    ["http://ada:pw@example.com/a", "http://***@example.com/a"],
    ["https://token@example.com", "https://***@example.com"],
    ['Cannot fetch "http://ada:pw@h/x": no', 'Cannot fetch "http://***@h/x": no'],
    ["http://ada:p@w@h/", "http://***@h/"],
    ["http://ada:p w\tx@h/", "http://***@h/"],
    ["http://ada:p/w?x#y@h/", "http://***@h/"],
    ["http:\\\\ada:pw@h\\", "http:\\\\***@h\\"],
    ["ada:pw@example.com/page", "***@example.com/page"],
    ['"ada:pw@example.com"', '"***@example.com"'],
    ['["http://a:b@c/","http://d:e@f/"]', '["http://***@c/","http://***@f/"]'],
    ["postgres://ada:pw@h:5432/db", "postgres://***@h:5432/db"],
    ["http://h/?a=1&token=abc&b=2", "http://h/?a=1&token=***&b=2"]
  ])("%s is shown as %s", (text, shown) => {
    expect(Secrets.hidden(text)).toBe(shown)
    expect(Secrets.hidden(shown)).toBe(shown)
  })

  it.each([
    "https://example.com/@ada/post:1",
    "https://example.com:8080/a@b?mail=ada@example.com",
    "http://[::1]:80/@x",
    "at file:///node_modules/@effect/x.js:10:5",
    "C:\\node_modules\\@effect\\x.js",
    "(node_modules/@effect/x.js:10:5)",
    "write to ada@example.com",
    "12:30 @ home"
  ])("%s is shown as it is", (text) => {
    expect(Secrets.hidden(text)).toBe(text)
  })

  it("are found in time that grows with the text", () => {
    for (const part of ["a", "@", ":", "://", "a:", "://a:b", "?", "a ", ":1", '"', "&a=", "://a@"]) {
      const start = performance.now()
      Secrets.hidden(`http://a:b@c?${part.repeat(100_000)}`)
      expect(performance.now() - start, part).toBeLessThan(5000)
    }
  })

  it("of a database: its password is left out, the rest is kept", () => {
    expect(Secrets.withoutPassword("postgres://ada:pw@h/db?password=x&ssl=1")).toBe("postgres://ada@h/db?ssl=1")
    expect(Secrets.withoutPassword("postgres://ada@h/db")).toBe("postgres://ada@h/db")
    expect(Secrets.withoutPassword("a:b@c/pages.db")).toBe("a:b@c/pages.db")
  })
})

describe("text from outside", () => {
  it("has its control characters told and not obeyed", () => {
    expect(Shown.text("a\u001B[2J\u0007\u007F\u009B1m\r\u202Eb\u2066")).toBe(
      "a\\u001B[2J\\u0007\\u007F\\u009B1m\\u000D\\u202Eb\\u2066"
    )
    expect(Shown.text("é\t日本 👍\nب")).toBe("é\t日本 👍\nب")
  })

  it("cannot begin a line of its own", () => {
    expect(Shown.indented("  ", "a\r\nerror: b\n\nc")).toBe("a\n  error: b\n  \n  c")
  })

  it("stays JSON", () => {
    const value = { "http://a:b@c": ["\u001B\u009B\u202E\n", 'http://a:"b@c'], n: 1, none: undefined, nothing: null }
    const text = Shown.json(value)
    expect(text).not.toMatch(/[\p{Cc}\u202E]/u)
    expect(JSON.parse(text)).toEqual({ "http://***@c": ["\u001B\u009B\u202E\n", "http://***@c"], n: 1, nothing: null })
  })
})
