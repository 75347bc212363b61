/** What all steps have in common. */
export interface Item {
  readonly id: number
  readonly price: number
}
