import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Node has no Unix datagram sockets, and every Debian has a Perl. */
const SOCKET = `
use Socket; $| = 1;
socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die $!; bind($s, pack_sockaddr_un($ARGV[0])) or die $!;
print "listening\\n";
while (defined recv($s, my $text, 65536, 0)) { $text =~ s/\\n/\\t/g; print "$text\\n"; }
`

/** Why systemd cannot be played on this machine; false when it can. */
export const NO_SYSTEMD: string | false =
  spawnSync('perl', ['-e', '1']).status !== 0
    ? 'no perl here'
    : spawnSync('systemd-notify', ['--version']).status !== 0
      ? 'no systemd-notify here'
      : false

/** The notify socket of a service manager, and what it was told. */
export class NotifySocket {
  readonly path: string
  readonly messages: string[] = []
  readonly #child: ChildProcess
  #lastFedMs = 0

  private constructor(path: string, child: ChildProcess) {
    this.path = path
    this.#child = child
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) this.#take(line)
    })
  }

  static async open(directory: string): Promise<NotifySocket> {
    const path = join(directory, 'notify.sock')
    const child = spawn('perl', ['-e', SOCKET, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const socket = new NotifySocket(path, child)
    await once(child.stdout ?? child, 'data')
    return socket
  }

  /** When the watchdog was fed last, by performance.now(). */
  get lastFedMs(): number {
    return this.#lastFedMs
  }

  told(start: string): readonly string[] {
    return this.messages.filter((message) => message.startsWith(start))
  }

  async close(): Promise<void> {
    this.#child.kill()
    await once(this.#child, 'close')
  }

  #take(line: string): void {
    for (const message of line.split('\t')) {
      if (message === 'WATCHDOG=1') this.#lastFedMs = performance.now()
      this.messages.push(message)
    }
  }
}
