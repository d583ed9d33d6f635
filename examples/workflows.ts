/** All example workflows, for the CDK app that deploys them and for the functions that run them. */
import { hello } from "./hello.ts";
import { customerImport, nightlyImport, reporting } from "./import.ts";
import { loan } from "./loan.ts";
import { onboarding } from "./onboarding.ts";
import { order } from "./order.ts";
import { report } from "./report.ts";
import { sync } from "./sync.ts";
import { video } from "./video.ts";

export const workflows = [
  hello,
  customerImport,
  nightlyImport,
  reporting,
  loan,
  onboarding,
  order,
  report,
  sync,
  video,
];
