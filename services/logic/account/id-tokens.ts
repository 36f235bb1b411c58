/**
 * ID tokens of OpenID Connect providers: users that exist elsewhere log in with them. Which providers
 * are trusted, for which audience, and where their keys are, is configuration.
 */
import { readFileSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { AccountConfig } from "./config.ts";

const TOKEN_CHARACTERS_MAX = 8_192;
const SUBJECT_CHARACTERS_MAX = 255;
const NAME_CHARACTERS_MAX = 64;
const CLOCK_TOLERANCE_S = 30;
/** Signatures only: a provider's secret that both sides know is not for a platform of many services. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"];

interface Provider {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: JWTVerifyGetKey;
}

export interface Subject {
  readonly issuer: string;
  readonly subject: string;
  readonly displayName: string;
}

export class IdTokens {
  readonly #providers: readonly Provider[];

  constructor(configured: AccountConfig["oidc"]) {
    this.#providers = configured.map(({ issuer, audience, keysFile, keysUrl }) => ({
      issuer,
      audience,
      keys:
        keysFile === undefined
          ? createRemoteJWKSet(new URL(keysUrl!))
          : createLocalJWKSet(JSON.parse(readFileSync(keysFile, "utf8")) as JSONWebKeySet),
    }));
  }

  async verify(token: string): Promise<Subject> {
    requireArgument(token.length <= TOKEN_CHARACTERS_MAX, "the ID token is too long");
    const provider = this.#providerOf(token);
    const { issuer, audience, keys } = provider;
    let payload: JWTPayload;
    try {
      const rules = { issuer, audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_S };
      const required = { ...rules, requiredClaims: ["sub", "exp", "iat"] };
      payload = (await jwtVerify(token, keys, required)).payload;
    } catch (error) {
      throw refused(error);
    }
    const { sub: subject = "", name } = payload;
    if (subject === "" || subject.length > SUBJECT_CHARACTERS_MAX) throw refused(undefined);
    const displayName = typeof name === "string" ? name.slice(0, NAME_CHARACTERS_MAX) : "";
    return { issuer, subject, displayName };
  }

  #providerOf(token: string): Provider {
    let issuer: string | undefined;
    try {
      issuer = decodeJwt(token).iss;
    } catch (error) {
      throw refused(error);
    }
    const provider = this.#providers.find((one) => one.issuer === issuer);
    if (provider === undefined) throw refused(undefined);
    return provider;
  }
}

/** Why is for the log, not for who may be trying tokens out. */
function refused(cause: unknown): RpcError {
  const message =
    "the ID token is not one that is accepted here: log in again where you have it from";
  return new RpcError("UNAUTHENTICATED", message, { cause });
}
