/** Where in the user's program something was called: the stack without our own frames. */

const DEEPEST = 50;

/** Keeps the stack of this moment; it is formatted only when asked for. */
export function traceHere(): Error {
  const before = Error.stackTraceLimit;
  // The user's frame lies behind up to a dozen of ours, and the usual limit is ten.
  Error.stackTraceLimit = DEEPEST;
  const trace = new Error();
  Error.stackTraceLimit = before;
  return trace;
}

/** A place in the user's program. */
export interface Place {
  /** The innermost frame that is not ours: `at file:///app/main.ts:12:5`; undefined if there is none. */
  readonly frame: string | undefined;
  /** All frames that are not ours, one a line. */
  readonly stack: string;
}

/** The user's part of a stack. */
export function placeIn(trace: Error): Place {
  // Our own files. In a program bundled into one file these cannot be told apart, and nothing is.
  const own = new URL("../", import.meta.url).href;
  const frames = (trace.stack ?? "").split("\n").slice(1);
  const theirs = frames.filter((frame) => {
    return !frame.includes(own) && !frame.includes("ext:") && !frame.includes("node:");
  });
  const shown = theirs.some((frame) => frame.includes("://") || frame.includes("/")) ? theirs : [];
  return { frame: shown[0]?.trim(), stack: (shown.length > 0 ? shown : frames).join("\n") };
}
