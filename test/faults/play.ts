import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../src/core/random.ts'
import type { ControlCommand } from '../../src/sim/control.ts'
import { describeStep, type ProcessFault, type Schedule, type Step } from './schedule.ts'
import { fillDisk, replaceDaemon, type Stage, signalDatabase } from './stage.ts'

/** What was noteworthy while a schedule was played. */
export interface Played {
  /** Faults that could not be made here, and why. */
  readonly skipped: string[]
  readonly violations: string[]
}

/** Plays the steps: those of the line at their times, those of the processes one after the other beside them. */
export async function play(stage: Stage, { seed, steps }: Schedule): Promise<Played> {
  const played: Played = { skipped: [], violations: [] }
  const random = seededRandom(seed)
  const tokens = await tokensOf(stage)
  const begunMs = performance.now()
  const lane = async (name: Step['lane']) => {
    for (const step of steps) {
      if (step.lane !== name) continue
      await delay(Math.max(0, begunMs + step.atMs - performance.now()))
      if (step.lane === 'processes') await playProcess(stage, step.process, played)
      else if ('proxy' in step) await stage.proxy.control(step.proxy)
      else await playVenue(stage, step.venue, tokens[Math.floor(random() * tokens.length)] ?? '', played)
    }
  }
  await Promise.all([lane('line'), lane('processes')])
  return played
}

/** Ends every fault; dead connections stay dead until the recorder sees it, requests without an answer are cut. */
export async function endFaults({ proxy, venue }: Stage): Promise<void> {
  await proxy.control({ heal: true, reset: { kind: 'http' } })
  await venue.control({ clearFaults: true })
}

async function tokensOf({ venue }: Stage): Promise<string[]> {
  const { markets } = (await venue.get('state')) as { markets: { tokens: string[] }[] }
  return markets.flatMap((market) => market.tokens)
}

async function playVenue(stage: Stage, command: ControlCommand, token: string, played: Played): Promise<void> {
  const some = <T extends { readonly token?: string }>(value: T): T => {
    return value.token === 'some' ? { ...value, token } : value
  }
  const { freeze, dropFrames } = command
  await stage.venue
    .control({
      ...command,
      ...(freeze === undefined ? {} : { freeze: some(freeze) }),
      ...(dropFrames === undefined ? {} : { dropFrames: some(dropFrames) }),
    })
    .catch((error: unknown) => {
      // Only a market that is there can be resolved.
      played.skipped.push(`${describeStep({ atMs: 0, lane: 'line', venue: command })}: ${String(error)}`)
    })
}

async function playProcess(stage: Stage, fault: ProcessFault, played: Played): Promise<void> {
  switch (fault.kind) {
    case 'kill daemon':
      await replaceDaemon(stage, 'SIGKILL', async () => {
        if (fault.alsoServer) await signalDatabase(stage, 'SIGKILL')
        await delay(fault.pauseMs)
      })
      return
    case 'restart daemon': {
      const { code } = await replaceDaemon(stage, 'SIGTERM', () => delay(fault.pauseMs))
      if (code !== 0) played.violations.push(`the daemon ended with ${code} when asked to`)
      return
    }
    case 'pause daemon':
      stage.daemon.running.child.kill('SIGSTOP')
      await delay(fault.forMs)
      stage.daemon.running.child.kill('SIGCONT')
      return
    case 'kill server':
      await signalDatabase(stage, 'SIGKILL')
      return
    case 'stop server at once':
      await signalDatabase(stage, 'SIGQUIT')
      return
    case 'fill disk': {
      if (!stage.smallDisk) {
        played.skipped.push('fill disk: a small disk cannot be mounted here (needs root)')
        return
      }
      const free = await fillDisk(stage)
      await delay(fault.forMs)
      await free()
    }
  }
}
