/** Bodies that say how long they are, are refused by that; those that do not, at the byte that is too much. */
import * as Effect from "effect/Effect"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"

/** Whether the head of the request says already that it is too long. */
export const isTooLong = (request: HttpServerRequest.HttpServerRequest, most: number): boolean =>
  Number(request.headers["content-length"] ?? 0) > most

/** Effect bounds what is read whole; this bounds what is read as a stream, where no length was given. */
export const bounded =
  (most: number) =>
  <A, E, R>(handler: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const request = fiber.context.mapUnsafe.get(HttpServerRequest.HttpServerRequest.key) as
        | HttpServerRequest.HttpServerRequest
        | undefined
      return request?.headers["transfer-encoding"] === undefined
        ? handler
        : (Effect.provideService(
            handler,
            HttpServerRequest.HttpServerRequest,
            counting(request, most)
          ) as Effect.Effect<A, E, R>)
    })

const counting = (request: HttpServerRequest.HttpServerRequest, most: number): HttpServerRequest.HttpServerRequest =>
  // All else is that of the request itself.
  Object.create(request, {
    stream: {
      get: () => {
        let bytes = 0
        return Stream.mapEffect(request.stream, (chunk) => {
          bytes += chunk.length
          return bytes > most ? Effect.fail(tooLarge(request)) : Effect.succeed(chunk)
        })
      }
    },
    modify: {
      value: (options: Parameters<typeof request.modify>[0]) => counting(request.modify(options), most)
    }
  }) as HttpServerRequest.HttpServerRequest

const tooLarge = (request: HttpServerRequest.HttpServerRequest) =>
  new HttpServerError.HttpServerError({
    reason: new HttpServerError.RequestParseError({ request, reason: "BodyTooLarge" })
  })
