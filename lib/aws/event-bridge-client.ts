/** The SDK's client for the event bus, which only one function publishes on. */
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { limits } from "../definition/limits.ts";
import { bounded } from "./bounded.ts";

export function createEventBridgeClient(): EventBridgeClient {
  return new EventBridgeClient(bounded(limits.requestTries, limits.requestMs));
}
