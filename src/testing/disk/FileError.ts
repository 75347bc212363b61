/** The failures of a file system, as Node reports them: what a program does about real ones it does about these. */
import * as PlatformError from "effect/PlatformError"

/** What the system says is wrong. */
export type Code =
  | "EACCES"
  | "EBADF"
  | "EBUSY"
  | "EDQUOT"
  | "EEXIST"
  | "EFBIG"
  | "EINVAL"
  | "EIO"
  | "EISDIR"
  | "EMFILE"
  | "ENFILE"
  | "ENOENT"
  | "ENOSPC"
  | "ENOTDIR"
  | "ENOTEMPTY"
  | "ENOTSUP"
  | "EPERM"
  | "EROFS"
  | "ETIMEDOUT"

const errors: { readonly [C in Code]: readonly [tag: PlatformError.SystemErrorTag, meaning: string] } = {
  EACCES: ["PermissionDenied", "permission denied"],
  EBADF: ["BadResource", "bad file descriptor"],
  EBUSY: ["Busy", "resource busy or locked"],
  EDQUOT: ["Unknown", "disk quota exceeded"],
  EEXIST: ["AlreadyExists", "file already exists"],
  EFBIG: ["Unknown", "file too large"],
  EINVAL: ["Unknown", "invalid argument"],
  EIO: ["Unknown", "i/o error"],
  EISDIR: ["BadResource", "illegal operation on a directory"],
  EMFILE: ["Unknown", "too many open files"],
  ENFILE: ["Unknown", "file table overflow"],
  ENOENT: ["NotFound", "no such file or directory"],
  ENOSPC: ["Unknown", "no space left on device"],
  ENOTDIR: ["BadResource", "not a directory"],
  ENOTEMPTY: ["Unknown", "directory not empty"],
  ENOTSUP: ["Unknown", "operation not supported"],
  EPERM: ["PermissionDenied", "operation not permitted"],
  EROFS: ["Unknown", "read-only file system"],
  ETIMEDOUT: ["TimedOut", "connection timed out"]
}

/** The error with which the call of `method` on `path` fails; `detail` says more than the code does. */
export const fileError = (
  code: Code,
  method: string,
  path: string,
  detail: string = errors[code][1]
): PlatformError.PlatformError =>
  PlatformError.systemError({
    _tag: errors[code][0],
    module: "FileSystem",
    method,
    pathOrDescriptor: path,
    description: detail,
    cause: Object.assign(new Error(`${code}: ${detail}, ${method} '${path}'`), { code, path })
  })
