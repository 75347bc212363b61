/**
 * As much of a browser as the page asks for. TypeScript's own library for it would put names like `name` and `event` into the scope of
 * every file that is compiled with this one.
 */

export interface Browser {
  readonly document: {
    title: string
    readonly hidden: boolean
    readonly documentElement: Part
    readonly activeElement: Part | null
    readonly getElementById: (id: string) => Part | null
    readonly createElement: (name: string) => Part
    readonly addEventListener: (type: string, f: (event: Happening) => void) => void
  }
  readonly location: { readonly hash: string }
  readonly fetch: (path: string, options: object) => Promise<Answer>
  readonly AbortController: new () => { readonly signal: object; readonly abort: () => void }
  readonly TextDecoder: new () => { readonly decode: (bytes: object, options: { readonly stream: boolean }) => string }
  readonly requestAnimationFrame: (draw: () => void) => void
  readonly setTimeout: (f: () => void, ms: number) => number
  readonly clearTimeout: (timer: number) => void
  readonly getComputedStyle: (part: Part) => { readonly getPropertyValue: (name: string) => string }
  readonly addEventListener: (type: string, f: (event: Happening) => void) => void
}

export interface Answer {
  readonly ok: boolean
  readonly status: number
  readonly text: () => Promise<string>
  readonly body: {
    readonly getReader: () => { readonly read: () => Promise<{ readonly done: boolean; readonly value?: object }> }
  } | null
}

export interface Part {
  readonly id: string
  readonly tagName: string
  textContent: string | null
  className: string
  hidden: boolean
  value: string
  checked: boolean
  title: string
  scrollTop: number
  readonly clientHeight: number
  readonly isConnected: boolean
  readonly open: boolean
  readonly firstElementChild: Part | null
  readonly style: { setProperty: (name: string, value: string) => void }
  readonly append: (...parts: ReadonlyArray<Part | string>) => void
  readonly replaceChildren: (...parts: ReadonlyArray<Part | string>) => void
  readonly insertBefore: (part: Part, before: Part | null) => void
  readonly remove: () => void
  readonly nextElementSibling: Part | null
  readonly setAttribute: (name: string, value: string) => void
  readonly removeAttribute: (name: string) => void
  readonly contains: (part: Part | null) => boolean
  readonly addEventListener: (type: string, f: (event: Happening) => void) => void
  readonly getBoundingClientRect: () => { readonly top: number; readonly bottom: number; readonly height: number }
  readonly focus: () => void
  readonly select: () => void
  readonly showModal: () => void
  readonly close: () => void
}

export interface Happening {
  readonly key: string
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly altKey: boolean
  readonly target: Part
  readonly clientX: number
  readonly clientY: number
  readonly preventDefault: () => void
}
