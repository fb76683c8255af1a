import { BlockList, isIP } from 'node:net'

/**
 * Addresses that are not on the public internet, or lead back from it to somewhere else: this machine, private and
 * shared networks, link-local (where clouds keep their metadata), tunnels, multicast, documentation, reserved
 * (IANA special-purpose registries for IPv4 and IPv6).
 */
const PRIVATE = {
  ipv4: [
    ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
    ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
    ...['224.0.0.0/4', '240.0.0.0/4'],
  ],
  ipv6: [
    // ::/3 has everything that wraps an IPv4 address or is none: ::, ::1, ::ffff:…, 64:ff9b::…, 100::…
    ...['::/3', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '5f00::/16'],
    // Public addresses are in 2000::/3; the rest is private, local, multicast or not in use.
    ...['4000::/2', '8000::/1'],
  ],
} as const

// One list each: in a common one, an IPv4 address is also looked up as ::ffff:…
const LISTS = { ipv4: listOf('ipv4'), ipv6: listOf('ipv6') }

function listOf(family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const subnet of PRIVATE[family]) {
    const [network = '', bits = '0'] = subnet.split('/')
    list.addSubnet(network, Number(bits), family)
  }
  return list
}

/** True for everything that is not a public IP address; also for text that is no address at all. */
export function isPrivateAddress(address: string): boolean {
  const bare = address.replace(/%.*$/, '')
  const version = isIP(bare)
  if (version === 0) return true
  const family = version === 6 ? 'ipv6' : 'ipv4'
  return LISTS[family].check(bare, family)
}
