/** `tricampus tls`: certificates for installations without an authority of their own. */
import { type CommandDefinition, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";

const DAYS_DEFAULT = 365;
const DAYS_MAX = 3_650;

export const tlsCommands: readonly CommandDefinition[] = [
  {
    name: "tls issue",
    summary: "issue a certificate that proves its holder to be these services",
    arguments: [
      ["<dir>", "the authority's folder; the authority is made when it is empty"],
      ["<name>", "the files are <dir>/<name>.pem and <dir>/<name>-key.pem"],
      [
        "<services...>",
        "the process's services, and `control`, under which it reads what is blocked",
      ],
    ],
    options: [["--days <number>", `how long it is valid (${DAYS_DEFAULT})`]],
    run: async (call) => {
      const [dir, name, ...services] = call.arguments;
      const days = Number(textOption(call, "days") ?? DAYS_DEFAULT);
      if (!Number.isInteger(days) || days < 1 || days > DAYS_MAX)
        throw new Failure(EXIT.usage, `--days: a whole number from 1 to ${DAYS_MAX}`);
      if (!/^[a-z0-9-]{1,64}$/.test(name!) || name === "ca")
        throw new Failure(EXIT.usage, `the name "${name}" is not 1-64 of a-z, 0-9 and -, or is ca`);
      const wrong = services.find((service) => !/^[a-z0-9-]{1,64}$/.test(service));
      if (wrong !== undefined) throw new Failure(EXIT.usage, `"${wrong}" cannot be a service`);
      // Loaded here: every other command starts without it.
      const { CertificateAuthority } = await import(
        "../../services/platform/certificate-folder.ts"
      );
      const authority = await CertificateAuthority.open(dir!);
      const files = await authority.issue(name!, services, days);
      if (call.json) printJson(files);
      else console.log(`${files.certFile} and ${files.keyFile}, signed by ${files.caFile}`);
      return EXIT.ok;
    },
  },
];
