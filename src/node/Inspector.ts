/** A look into a program while it runs. */
export { socket, type SocketOptions } from "./inspector/Opened.ts"
