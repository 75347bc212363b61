/**
 * As much of a browser as the page asks for. TypeScript's own library for it would put names like `name` and `event` into the scope of
 * every file that is compiled with this one.
 */

export interface Browser {
  readonly document: {
    readonly getElementById: (id: string) => Part | null
    readonly createElement: (name: string) => Part
    readonly documentElement: Part
    readonly activeElement: Part | null
  }
  readonly devicePixelRatio: number
  readonly requestAnimationFrame: (paint: () => void) => void
  readonly getComputedStyle: (part: Part) => { readonly getPropertyValue: (name: string) => string }
  readonly matchMedia: (query: string) => { readonly addEventListener: (type: "change", f: () => void) => void }
  readonly addEventListener: (type: string, f: (event: Happening) => void) => void
}

export interface Part {
  textContent: string | null
  className: string
  hidden: boolean
  value: string
  width: number
  height: number
  scrollTop: number
  readonly clientWidth: number
  readonly clientHeight: number
  readonly style: { width: string; height: string; cursor: string }
  readonly append: (...parts: ReadonlyArray<Part | string>) => void
  readonly replaceChildren: (...parts: ReadonlyArray<Part | string>) => void
  readonly setAttribute: (name: string, value: string) => void
  readonly removeAttribute: (name: string) => void
  readonly addEventListener: (
    type: string,
    f: (event: Happening) => void,
    options?: { readonly passive: boolean }
  ) => void
  readonly getBoundingClientRect: () => { readonly left: number; readonly top: number }
  readonly focus: () => void
  readonly setPointerCapture: (pointer: number) => void
  readonly getContext: (kind: "2d") => Brush | null
}

export interface Happening {
  readonly key: string
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly altKey: boolean
  readonly shiftKey: boolean
  readonly button: number
  readonly buttons: number
  readonly clientX: number
  readonly clientY: number
  readonly deltaX: number
  readonly deltaY: number
  readonly pointerId: number
  readonly preventDefault: () => void
}

export interface Brush {
  fillStyle: string
  strokeStyle: string
  lineWidth: number
  font: string
  textBaseline: string
  textAlign: string
  globalAlpha: number
  readonly setTransform: (a: number, b: number, c: number, d: number, e: number, f: number) => void
  readonly clearRect: (x: number, y: number, width: number, height: number) => void
  readonly fillRect: (x: number, y: number, width: number, height: number) => void
  readonly strokeRect: (x: number, y: number, width: number, height: number) => void
  readonly fillText: (text: string, x: number, y: number) => void
  readonly beginPath: () => void
  readonly moveTo: (x: number, y: number) => void
  readonly lineTo: (x: number, y: number) => void
  readonly bezierCurveTo: (a: number, b: number, c: number, d: number, x: number, y: number) => void
  readonly arc: (x: number, y: number, radius: number, from: number, to: number) => void
  readonly rect: (x: number, y: number, width: number, height: number) => void
  readonly fill: () => void
  readonly stroke: () => void
  readonly clip: () => void
  readonly save: () => void
  readonly restore: () => void
}
