/** The compressions of Parquet's pages, whole pieces of a size that is known before. Snappy is the library's own. */
import type { Compressors } from "hyparquet"
import type { ParquetWriteOptions } from "hyparquet-writer"
import { builtin } from "../../codec/Builtin.ts"

type Whole = (bytes: Uint8Array, options?: { readonly maxOutputLength: number }) => Uint8Array

interface Zlib {
  readonly gunzipSync: Whole
  readonly gzipSync: Whole
  readonly brotliDecompressSync: Whole
  readonly brotliCompressSync: Whole
  readonly zstdDecompressSync?: Whole
  readonly zstdCompressSync?: Whole
}

export type ParquetCompression = "snappy" | "gzip" | "zstd" | "brotli" | "none"

export const codecs: Record<ParquetCompression, "SNAPPY" | "GZIP" | "ZSTD" | "BROTLI" | "UNCOMPRESSED"> = {
  snappy: "SNAPPY",
  gzip: "GZIP",
  zstd: "ZSTD",
  brotli: "BROTLI",
  none: "UNCOMPRESSED"
}

const zlib = (): Zlib | undefined => builtin("node:zlib") as Zlib | undefined

/** To read with: no page becomes larger than its header says. */
export const decompressors = (): Compressors => {
  const { brotliDecompressSync, gunzipSync, zstdDecompressSync } = zlib() ?? {}
  const limited = (whole: Whole) => (bytes: Uint8Array, length: number) =>
    length === 0 ? new Uint8Array() : whole(bytes, { maxOutputLength: length })
  return {
    ...(gunzipSync && { GZIP: limited(gunzipSync) }),
    ...(brotliDecompressSync && { BROTLI: limited(brotliDecompressSync) }),
    ...(zstdDecompressSync && { ZSTD: limited(zstdDecompressSync) })
  }
}

/** To write with. */
export const compressors = (): NonNullable<ParquetWriteOptions["compressors"]> => {
  const { brotliCompressSync, gzipSync, zstdCompressSync } = zlib() ?? {}
  const plain = (whole: Whole) => (bytes: Uint8Array) => whole(bytes)
  return {
    ...(gzipSync && { GZIP: plain(gzipSync) }),
    ...(brotliCompressSync && { BROTLI: plain(brotliCompressSync) }),
    ...(zstdCompressSync && { ZSTD: plain(zstdCompressSync) })
  }
}
