/** What the demo takes on its command line. */

/** The options, read. */
export interface Options {
  /** The database; a temporary SQLite file if undefined. */
  url: string | undefined;
  port: number;
  check: boolean;
  help: boolean;
}

/** What `--help` prints. */
export const USAGE = `deno task demo [options]

Loads the countries and cities of the world into a database and serves them.

  --url=URL    the database: sqlite:./atlas.db, pglite:, postgres://user@host/database, …
               Default: SQLite in a temporary file
  --port=PORT  where to serve, 0 for any free port. Default: 8000
  --check      do the whole round against itself, verify the numbers, and end
  --help       show this`;

/** The options, or what is wrong with them. */
export function optionsFrom(args: readonly string[]): Options | string {
  const options: Options = { url: undefined, port: 8000, check: false, help: false };
  for (const arg of args) {
    const [name, value] = split(arg);
    if (name === "--" && value === undefined) continue;
    if ((name === "--check" || name === "--help") && value === undefined) {
      options[name === "--check" ? "check" : "help"] = true;
    } else if (name === "--url" && value) {
      options.url = value;
    } else if (name === "--port" && value && /^\d{1,5}$/.test(value) && Number(value) < 65_536) {
      options.port = Number(value);
    } else if (["--url", "--port", "--check", "--help"].includes(name)) {
      return `The option ${name} cannot be read. Write it as below`;
    } else {
      return `There is no option "${name}"`;
    }
  }
  return options;
}

function split(arg: string): [name: string, value: string | undefined] {
  const at = arg.indexOf("=");
  return at < 0 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)];
}
