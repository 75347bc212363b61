/** Values that break whoever looks at them without care, made from a list of numbers: each is the answer to one choice. */

const thrower = (what: string) => (): never => {
  throw new Error(`${what} was touched`)
}

/** Throws at whatever it is asked. */
const trap: ProxyHandler<object> = new Proxy({}, { get: (_, name) => thrower(String(name)) })

export const make = (choices: ReadonlyArray<number>): unknown => {
  let next = 0
  const pick = <A>(...given: ReadonlyArray<() => A>): A => given[(choices[next++] ?? 0) % given.length]!()

  const value = (depth: number): unknown => {
    if (depth > 4) return "deep enough"
    const inner = () => value(depth + 1)
    return pick<unknown>(
      () => error(depth),
      () => error(depth),
      () => error(depth),
      () => "text",
      () => undefined,
      () => null,
      () => Symbol("odd"),
      () => 7n,
      () => () => {},
      () => Object.create(null),
      () => new Proxy({}, trap),
      () => new Proxy(error(depth), trap),
      () => new Proxy(error(depth), {}),
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return proxy
      },
      () => ({ code: 7, inner: inner() }),
      () => ({ toString: thrower("toString"), toJSON: thrower("toJSON") }),
      () => ({ toString: () => inner() }),
      () => [inner(), inner()],
      () => {
        const circle: Record<string, unknown> = { n: 1n }
        circle["self"] = circle
        return circle
      }
    )
  }

  const error = (depth: number): Error => {
    const inner = () => value(depth + 1)
    const made = pick<Error>(
      () => new Error("plain"),
      () => new TypeError("typed"),
      () => new AggregateError([inner(), inner()], "many"),
      () => new DOMException("stopped", "AbortError"),
      () => Object.setPrototypeOf(new Error("without a prototype"), null)
    )
    const has = (key: string, given: PropertyDescriptor) =>
      void Object.defineProperty(made, key, { ...given, configurable: true, enumerable: key === "own" })
    const is = (key: string, make: () => unknown) => () => has(key, { value: make(), writable: true })
    const asks = (key: string, get: () => unknown) => () => has(key, { get })
    const plain = () => {}
    pick(
      plain,
      is("name", () => Symbol("name")),
      is("name", () => 7),
      is("name", () => "AbortError"),
      asks("name", thrower("name"))
    )
    pick(
      plain,
      is("message", () => 7),
      is("message", () => ""),
      is("message", inner),
      asks("message", thrower("message"))
    )
    pick(
      plain,
      is("stack", () => undefined),
      is("stack", inner),
      asks("stack", thrower("stack"))
    )
    pick(
      plain,
      is("cause", inner),
      is("cause", () => made),
      asks("cause", thrower("cause")),
      asks("cause", () => new Error("endless", { cause: Object.create(made) })),
      is("cause", () => long(3000, made))
    )
    pick(
      plain,
      is("own", () => "kept"),
      is("own", () => () => {}),
      is("own", inner),
      asks("own", thrower("own")),
      () => has("__proto__", { value: { hidden: true } })
    )
    pick(
      plain,
      plain,
      is("errors", () => [made, inner()]),
      is("errors", () => new Proxy([], trap)),
      asks("errors", thrower("errors"))
    )
    return made
  }

  return value(0)
}

const long = (length: number, end: unknown): unknown => {
  let last = end
  for (let i = 0; i < length; i++) last = new Error(`cause ${i}`, { cause: last })
  return last
}
