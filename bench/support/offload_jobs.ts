/** What is done in worker threads. The number comes back as proof. */
export const empty = (i: number): number => i

export const busy = (i: number): number => {
  const end = performance.now() + 0.05
  while (performance.now() < end);
  return i
}
