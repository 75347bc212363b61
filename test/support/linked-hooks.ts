/** `node --import` of this: a module that is in the file of `linked.ts` comes out of that. */
import { registerHooks } from "node:module"
import { pathToFileURL } from "node:url"

const modules = new Map<string, object>()

/** Exports what a module exports that is there already. */
const passedOn = (url: string, module: object): string => {
  const names = Object.keys(module)
  return `const module = globalThis["skein/linked"].get(${JSON.stringify(url)})
    ${names.map((name, i) => `const _${i} = module[${JSON.stringify(name)}]`).join("\n")}
    export { ${names.map((name, i) => `_${i} as ${JSON.stringify(name)}`).join(", ")} }`
}

const file = process.env["SKEIN_LINKED"]
if (file !== undefined && file !== "no") {
  Object.defineProperty(globalThis, "skein/linked", { value: modules })
  await import(pathToFileURL(file).href)
  registerHooks({
    load: (url, context, next) => {
      const module = modules.get(url)
      return module === undefined
        ? next(url, context)
        : { format: "module", source: passedOn(url, module), shortCircuit: true }
    }
  })
}
