/** What requests are called before they are begun: method and route, as a raw path would be another name each time. */
import * as Effect from "effect/Effect"
import * as FindMyWay from "effect/http/FindMyWay"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"

export class Routes {
  private known: FindMyWay.Router<string> | undefined

  /** The router of a server, which tells this of each route. */
  readonly layer: Layer.Layer<HttpRouter.HttpRouter> = Layer.effect(HttpRouter.HttpRouter)(
    Effect.gen({ self: this }, function* () {
      // With the settings of the router itself, for the same answers.
      const known = FindMyWay.make<string>(yield* HttpRouter.RouterConfig)
      this.known = known
      return heard(yield* HttpRouter.make, "/", (method, path) => {
        for (const one of path.endsWith("/*") ? [path, path.slice(0, -2) as HttpRouter.PathInput] : [path]) {
          if (method === "*") known.all(one, path)
          else known.on(method, one, path)
        }
      })
    })
  )

  nameOf(method: string, url: string): string {
    if (this.known === undefined) return method
    const found = this.known.find(method, url) ?? (method === "HEAD" ? this.known.find("GET", url) : undefined)
    return `${method} ${found?.handler ?? "(no route)"}`
  }
}

type See = (method: string, path: HttpRouter.PathInput) => void

const heard = (router: HttpRouter.HttpRouter, prefix: string, see: See): HttpRouter.HttpRouter => {
  const saw = (method: string, path: string): void =>
    see(method, (prefix === "/" ? path : HttpRouter.prefixPath(path, prefix)) as HttpRouter.PathInput)
  return {
    ...router,
    prefixed: (inner) =>
      heard(router.prefixed(inner), prefix === "/" ? inner : HttpRouter.prefixPath(inner, prefix), see),
    add: (method, path, handler, options) => {
      saw(method, path)
      return router.add(method, path, handler, options)
    },
    addAll: (routes) => {
      for (const { method, path } of routes) saw(method, path)
      return router.addAll(routes)
    }
  }
}
