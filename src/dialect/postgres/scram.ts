/**
 * The answers to a server that asks for a password: SCRAM-SHA-256 (RFC 5802, RFC 7677) and MD5.
 *
 * @module
 */

import { Buffer } from "node:buffer";

const utf8 = new TextEncoder();

/** A server asking for more rounds would only burn our processor. PostgreSQL's default is 4,096. */
const mostIterations = 1_000_000;

/** The answer to a server that wants the MD5 of password, user and salt. */
export async function md5Password(
  user: string,
  password: string,
  salt: Uint8Array,
): Promise<string> {
  // Loaded where it is needed: few servers ask for MD5 any more
  const { createHash } = await import("node:crypto");
  const md5 = (...parts: (string | Uint8Array)[]): string => {
    const hash = createHash("md5");
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  };
  return `md5${md5(md5(password, user), salt)}\0`;
}

/** One run of SCRAM-SHA-256. Its methods throw an `Error` when the server's part is not in order. */
export class Scram {
  readonly #password: string;
  readonly #nonce: string = Buffer.from(crypto.getRandomValues(new Uint8Array(18)))
    .toString("base64");
  #serverSignature: Uint8Array | undefined;
  #verified = false;

  /** For this password. */
  constructor(password: string) {
    this.#password = password;
  }

  /** Whether the server has proved that it knows the password too. */
  get verified(): boolean {
    return this.#verified;
  }

  /** The client's first message. */
  get first(): string {
    return `n,,n=*,r=${this.#nonce}`;
  }

  /** The client's final message, for the server's first one. */
  async final(serverFirst: string): Promise<string> {
    const { r: nonce = "", s: salt = "", i: rounds = "" } = attributes(serverFirst);
    const iterations = Number(rounds);
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new Error("the server's SCRAM nonce does not continue ours");
    }
    if (salt === "" || !Number.isInteger(iterations) || iterations < 1) {
      throw new Error("the server's SCRAM message is malformed");
    }
    if (iterations > mostIterations) {
      throw new Error(`the server asks for ${iterations} rounds of hashing`);
    }
    const key = await crypto.subtle.importKey(
      "raw",
      utf8.encode(this.#password.normalize("NFKC")),
      "PBKDF2",
      false,
      ["deriveBits"],
    );
    const salted = await crypto.subtle.deriveBits(
      { name: "PBKDF2", hash: "SHA-256", salt: Buffer.from(salt, "base64"), iterations },
      key,
      256,
    );
    const clientKey = await hmac(salted, "Client Key");
    const storedKey = await crypto.subtle.digest("SHA-256", clientKey);
    const withoutProof = `c=biws,r=${nonce}`;
    const all = `${this.first.slice(3)},${serverFirst},${withoutProof}`;
    const signature = await hmac(storedKey, all);
    this.#serverSignature = await hmac(await hmac(salted, "Server Key"), all);
    const proof = clientKey.map((byte, i) => byte ^ signature[i]!);
    return `${withoutProof},p=${Buffer.from(proof).toString("base64")}`;
  }

  /** Checks the server's proof. */
  verify(serverFinal: string): void {
    const given = Buffer.from(attributes(serverFinal).v ?? "", "base64");
    if (this.#serverSignature === undefined || !given.equals(this.#serverSignature)) {
      throw new Error("the server could not prove that it knows the password");
    }
    this.#verified = true;
  }
}

function attributes(message: string): Partial<Record<string, string>> {
  const pairs: Partial<Record<string, string>> = Object.create(null);
  for (const part of message.split(",")) pairs[part[0] ?? ""] = part.slice(2);
  return pairs;
}

async function hmac(
  key: ArrayBuffer | Uint8Array<ArrayBuffer>,
  text: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const imported = await crypto.subtle.importKey(
    "raw",
    new Uint8Array(key),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, utf8.encode(text)));
}
