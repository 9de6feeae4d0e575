// The driver for tests that need no commands of their own.
import { drive } from "./drive.mjs";

await drive();
