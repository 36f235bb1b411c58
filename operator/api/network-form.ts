/** How networks are written: 10.20.0.0/16, fd00:20::/32. */

const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const PIECE = "[0-9A-Fa-f]{1,4}";
/** `::` stands for at least one of the eight pieces, wherever it is. */
const IP6 = [
  `(${PIECE}:){7}${PIECE}`,
  `(${PIECE}:){1,7}:`,
  ...[1, 2, 3, 4, 5, 6].map((left) => `(${PIECE}:){1,${left}}(:${PIECE}){1,${7 - left}}`),
  `:(:${PIECE}){1,7}`,
  "::",
];

/**
 * A regular expression that holds for networks alone, so that no NetworkPolicy is made that an API server
 * refuses. It is in a rule of CEL, hence without backslashes and quotes; isCIDR is there from Kubernetes 1.31.
 */
export const NETWORK_FORM =
  `^((${OCTET}[.]){3}${OCTET}/(3[0-2]|[12]?[0-9])` +
  `|(${IP6.join("|")})/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$`;
