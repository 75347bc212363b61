/** `network: "public"`: which addresses are of the public internet, and a way to look names up that gives no others. */
import * as Dns from "node:dns"
import * as Net from "node:net"
import { WireError } from "../../io/context/WireError.ts"

/** What is not for everybody, by IANA's registries of special addresses, and where clouds keep what nobody else may see. */
const special: ReadonlyArray<readonly [network: string, prefix: number]> = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4]
]

/** Of IPv6, what is handed out, without what leads elsewhere by its own rules: Teredo, documentation, 6to4. */
const special6: ReadonlyArray<readonly [network: string, prefix: number]> = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20]
]

const handedOut = new Net.BlockList()
const refused = new Net.BlockList()
handedOut.addSubnet("0.0.0.0", 0, "ipv4")
handedOut.addSubnet("2000::", 3, "ipv6")
// A network of IPv6 alone reaches IPv4 under these, so that they are judged by the address of IPv4 in them. So are
// mapped ones, ::ffff:a.b.c.d, by the block list itself.
handedOut.addSubnet("64:ff9b::", 96, "ipv6")
for (const [network, prefix] of special) {
  refused.addSubnet(network, prefix, "ipv4")
  refused.addSubnet(`64:ff9b::${network}`, 96 + prefix, "ipv6")
}
for (const [network, prefix] of special6) refused.addSubnet(network, prefix, "ipv6")

/** Whether an address, in any spelling that Node takes, is one of the public internet. */
export const isPublic = (address: string): boolean => {
  const family = Net.isIP(address)
  if (family === 0) return false
  const kind = family === 6 ? "ipv6" : "ipv4"
  return handedOut.check(address, kind) && !refused.check(address, kind)
}

export type Lookup = Net.LookupFunction

export const system: Lookup = (host, options, done) => Dns.lookup(host, options, done as never)

/** Fails where the name leads to any address that is not public: who answers both ways is not to be trusted with either. */
export const guarded =
  (lookup: Lookup): Lookup =>
  (host, options, done) =>
    lookup(host, { ...options, all: true }, (error, found) => {
      const addresses = typeof found === "string" ? [{ address: found, family: Net.isIP(found) }] : found
      if (error !== null) return done(error, [])
      const inside = addresses.find(({ address }) => !isPublic(address))
      if (inside !== undefined) return done(blocked(host, inside.address), [])
      const [first] = addresses
      if (options.all === true || first === undefined) return done(null, addresses)
      done(null, first.address, first.family)
    })

/** What refuses a host that is never looked up: an address, or a name of this machine by RFC 6761, whatever a resolver says. */
export const literal = (host: string): WireError | undefined =>
  isThisMachine.test(host) || (Net.isIP(host) !== 0 && !isPublic(host)) ? blocked(host, host) : undefined

const isThisMachine = /^(.*\.)?localhost\.?$/i

const blocked = (host: string, address: string): WireError => {
  const what = host === address ? address : `${host} is ${address}, which`
  return new WireError("Blocked", `${what} is no address of the public internet, and \`network\` is "public"`)
}
