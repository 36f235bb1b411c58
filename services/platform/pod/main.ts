/**
 * Entry of a process in a pod: which services it runs comes from mounted files, campus and name from
 * the environment. See files.ts.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { watchForStops } from "../../svrkit/stall.ts";
import { runProcess } from "../process.ts";
import { keysIn } from "../ticket-keys.ts";
import { AddressBook } from "./address-book.ts";
import { composeProcess } from "./compose.ts";
import { POD_DATA_DIR, POD_FILES, POD_FILES_DIR } from "./files.ts";
import { applyPermits } from "./permits.ts";

const { TRICAMPUS_CAMPUS, POD_NAME, TRICAMPUS_HOST, TRICAMPUS_FILES, TRICAMPUS_DATA } = process.env;
if (TRICAMPUS_CAMPUS === undefined || POD_NAME === undefined) {
  process.stderr.write("TRICAMPUS_CAMPUS and POD_NAME must be set\n");
  process.exit(2);
}
const filesDir = TRICAMPUS_FILES ?? POD_FILES_DIR;
const dataDir = TRICAMPUS_DATA ?? POD_DATA_DIR;
watchForStops();
const signing = join(filesDir, POD_FILES.ticketSigning);
const config = composeProcess(readMounted(POD_FILES.process), {
  filesDir,
  dataDir,
  campus: TRICAMPUS_CAMPUS,
  host: TRICAMPUS_HOST ?? "0.0.0.0",
  pod: POD_NAME,
  signingKeys: existsSync(signing) ? Object.keys(keysIn(signing)) : [],
  tls: existsSync(join(filesDir, POD_FILES.tls)),
});
const book = new AddressBook(join(filesDir, POD_FILES.addresses), config.campuses);
applyPermits(join(filesDir, POD_FILES.permits), config);
book.follow();
await runProcess(config, (service) => book.of(service));

function readMounted(name: string): unknown {
  return JSON.parse(readFileSync(join(filesDir, name), "utf8"));
}
