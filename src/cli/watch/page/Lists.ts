/** What looks wrong, and the runs with their steps: each keeps its elements as long as it is there, so that focus stays. */
import type { Browser, Part } from "./Dom.ts"
import type { Finding, RunView, Snapshot, StepView } from "./Seen.ts"
import type { Words } from "./Words.ts"

export interface Lists {
  readonly show: (snapshot: Snapshot, last: Snapshot | undefined) => void
}

export const lists = (
  browser: Browser,
  words: Words,
  parts: { readonly findings: Part; readonly runs: Part },
  go: (task: number) => void
): Lists => {
  const { document } = browser
  const mostFindings = 100
  const put = (part: Part, text: string): void => {
    if (part.textContent !== text) part.textContent = text
  }
  const make = (name: string, className = "", ...inner: ReadonlyArray<Part>): Part => {
    const part = document.createElement(name)
    part.className = className
    part.append(...inner)
    return part
  }

  interface Shown<A> {
    readonly part: Part
    readonly update: (value: A) => void
  }
  /** Elements for values by what makes each the same as before, in the order of the values. */
  const keyed = <A>(parent: Part, keyOf: (value: A) => string, create: (value: A) => Shown<A>) => {
    let shown = new Map<string, Shown<A>>()
    return (values: ReadonlyArray<A>): void => {
      const next = new Map<string, Shown<A>>()
      for (const value of values) {
        let key = keyOf(value)
        while (next.has(key)) key += "+"
        const one = shown.get(key) ?? create(value)
        one.update(value)
        next.set(key, one)
      }
      for (const [key, { part }] of shown) if (!next.has(key)) part.remove()
      let at = parent.firstElementChild
      for (const { part } of next.values()) {
        if (part === at) at = part.nextElementSibling
        else parent.insertBefore(part, at)
      }
      shown = next
    }
  }

  const findings = keyed<Finding>(
    parts.findings,
    ({ kind, message, task }) => `${kind} ${task?.id ?? message}`,
    () => {
      const [kind, message, advice, places] = [make("b"), make("span"), make("p", "advice"), make("p", "places")]
      const button = make("button", "show")
      let task: number | undefined
      button.setAttribute("type", "button")
      button.addEventListener("click", () => task !== undefined && go(task))
      return {
        part: make("li", "", make("p", "message", kind, message), advice, places, button),
        update: (finding) => {
          task = finding.task?.id
          put(kind, finding.kind.replaceAll("-", " "))
          put(message, words.text(finding.message))
          put(advice, words.text(finding.advice))
          put(places, finding.places.slice(0, 5).map(words.wholePlace).join("  ·  "))
          places.hidden = finding.places.length === 0
          button.hidden = task === undefined
          put(button, `Show ${words.text(finding.task?.name)}`)
        }
      }
    }
  )

  const columns = ["step", "in flight", "waiting", "rate", "p50", "p99", "retries", "skipped", "dead", "taken", "given"]
  interface Step extends StepView {
    /** A second, since the last snapshot. */
    readonly perSecond: number | undefined
  }
  const stepOf = (): Shown<Step> => {
    const cells = columns.map((_, i) => make(i === 0 ? "th" : "td"))
    cells[0]!.setAttribute("scope", "row")
    const bar = make("i", "bar")
    bar.setAttribute("aria-hidden", "true")
    const inFlight = make("span")
    cells[1]!.append(inFlight, bar)
    return {
      part: make("tr", "", ...cells),
      update: ({ concurrency, dead, given, latency, name, perSecond, retries, skipped, taken, waiting, working }) => {
        const some = (n: number): string => (n === 0 ? "" : words.number(n))
        const texts = [
          words.text(name),
          "",
          some(waiting),
          perSecond === undefined ? "" : `${words.number(perSecond)}/s`,
          latency === null ? "" : words.time(latency.p50),
          latency === null ? "" : words.time(latency.p99),
          some(retries),
          some(skipped),
          some(dead),
          words.number(taken),
          words.number(given)
        ]
        for (const [i, text] of texts.entries()) if (i !== 1) put(cells[i]!, text)
        put(inFlight, `${words.number(working)} of ${words.number(concurrency)}`)
        bar.style.setProperty("--part", String(Math.min(1, working / Math.max(1, concurrency))))
        cells[7 + 1]!.className = dead === 0 ? "" : "bad"
        cells[6]!.className = retries === 0 ? "" : "odd"
      }
    }
  }
  const factsOf = (run: RunView, now: number): ReadonlyArray<string> => {
    const { commit, dead, eta, inFlight, lag, leaseUntil, rate, settled, written } = run
    return [
      `${words.number(settled)} done`,
      `${words.number(written)} written`,
      `${words.number(rate)}/s`,
      ...(eta === null ? [] : [`ETA ${words.time(eta)}`]),
      `${words.number(inFlight)} in flight`,
      `lag ${words.number(lag)}`,
      ...(dead === 0 ? [] : [`${words.number(dead)} dead`]),
      commit === null
        ? "no commit yet"
        : `commit ${words.number(commit.count)}: ${words.count(commit.rows, "row")} in ${words.time(commit.took)}, ${words.time(now - commit.at)} ago`,
      ...(leaseUntil === null
        ? []
        : [leaseUntil < now ? "its lease ran out" : `lease for ${words.time(leaseUntil - now)}`])
    ]
  }
  interface Run {
    readonly run: RunView
    readonly last: RunView | undefined
    readonly now: number
    readonly since: number
  }
  const runs = keyed<Run>(
    parts.runs,
    ({ run }) => `${run.name} ${run.partition ?? ""}`,
    () => {
      const [name, state, facts, body] = [make("h3"), make("span", "state"), make("p", "facts"), make("tbody")]
      const heads = columns.map((column) => {
        const head = make("th")
        head.setAttribute("scope", "col")
        head.textContent = column
        return head
      })
      const table = make("table", "", make("thead", "", make("tr", "", ...heads)), body)
      const wide = make("div", "wide", table)
      wide.setAttribute("tabindex", "0")
      wide.setAttribute("role", "group")
      const steps = keyed<Step>(body, (step) => step.name, stepOf)
      return {
        part: make("article", "", make("div", "line", name, state), facts, wide),
        update: ({ last, now, run, since }) => {
          const title = words.text(run.partition === null ? run.name : `${run.name} / ${run.partition}`)
          put(name, title)
          for (const part of [wide, table]) part.setAttribute("aria-label", `Steps of ${title}`)
          put(state, run.state)
          state.className = `state ${run.state}`
          put(facts, factsOf(run, now).join(" · "))
          steps(
            run.steps.map((step, i) => {
              const before = last?.steps[i]
              const perSecond =
                before === undefined || now <= since ? undefined : ((step.taken - before.taken) / (now - since)) * 1000
              return { ...step, perSecond }
            })
          )
          wide.hidden = run.steps.length === 0
        }
      }
    }
  )

  return {
    show: (snapshot, last) => {
      findings(snapshot.findings.slice(0, mostFindings))
      const same = (a: RunView, b: RunView): boolean => a.name === b.name && a.partition === b.partition
      runs(
        snapshot.runs.map((run) => ({
          run,
          last: last?.runs.find((one) => same(one, run)),
          now: snapshot.at,
          since: last?.at ?? snapshot.at
        }))
      )
    }
  }
}
