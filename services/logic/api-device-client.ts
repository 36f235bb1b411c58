/** The device of tickets that API keys act with: nobody logs in as it, so it proves where a call is from. */
export const API_DEVICE = "api";
