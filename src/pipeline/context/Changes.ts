/** What is different between two fingerprints, a phrase a field. */
export const changes = (was: Fields, is: Fields): ReadonlyArray<string> =>
  [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((field) => {
    const [before, now] = [JSON.stringify(was[field]), JSON.stringify(is[field])]
    return before === now ? [] : [`${field} was ${before ?? "absent"}, is ${now ?? "absent"}`]
  })

interface Fields {
  readonly [field: string]: unknown
}
