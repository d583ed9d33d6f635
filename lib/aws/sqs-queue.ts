/** The runtime's queue on SQS, with EventBridge Scheduler for what waits longer than SQS can. */
import type { CreateScheduleCommandInput } from "@aws-sdk/client-scheduler";
import { SendMessageBatchCommand, type SendMessageBatchCommandInput, type SQSClient } from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";
import type { Clock, MessageQueue, Randomness } from "../runtime/ports.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { type Refusal, sendEntries } from "./entries.ts";
import type { StackAddress } from "./environment.ts";
import { oneTimeSchedule } from "./schedules.ts";
import { pack, sendBatches } from "./sqs-requests.ts";

export interface SqsQueueOptions {
  readonly sqs: SQSClient;
  /** Resolves when the schedule is there, from this call or from an earlier one. */
  readonly createSchedule: (schedule: CreateScheduleCommandInput) => Promise<void>;
  readonly address: Pick<StackAddress, "queues" | "scheduleGroup" | "scheduleRole">;
  readonly clock: Clock;
  readonly random: Randomness;
}

/** Each message of a `send` is sent once at least: when some fail, all of them may be sent again. */
export function createSqsQueue({ sqs, createSchedule, address, clock, random }: SqsQueueOptions): MessageQueue {
  async function sendBatch({ QueueUrl, Entries = [] }: SendMessageBatchCommandInput): Promise<void> {
    const refusals = await sendEntries(
      Entries,
      async (entries): Promise<Refusal[]> => {
        const answer = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries: [...entries] }));
        // Only what is named as taken was taken.
        const taken = new Set((answer.Successful ?? []).map(({ Id }) => Id));
        return entries.flatMap(({ Id }, index): Refusal[] => {
          if (taken.has(Id)) return [];
          const failed = answer.Failed?.find((failure) => failure.Id === Id);
          const { Code = "NoAnswer", Message = "", SenderFault = false } = failed ?? {};
          return [{ index, code: Code, message: Message, isFinal: SenderFault }];
        });
      },
      { clock, random },
    );
    if (refusals.length > 0) throw new UnsentMessagesError(QueueUrl ?? "", refusals, Entries.length);
  }

  return {
    async send(messages) {
      // All are packed before the first is sent: one that cannot be sent must not leave half of its batch.
      const parcels = messages.map((message) => pack(message, address.queues));
      const isSoon = ({ delayMs }: { readonly delayMs: number }): boolean => delayMs <= limits.queueDelayMs;
      const later = parcels.filter((parcel) => !isSoon(parcel));
      await settleAll([
        ...sendBatches(parcels.filter(isSoon)).map(sendBatch),
        ...later.map((parcel) => createSchedule(oneTimeSchedule(parcel, address, clock.now()))),
      ]);
    },
  };
}

/** SQS did not take some messages, at each of `limits.batchTries` tries. Whoever sends them does so again. */
class UnsentMessagesError extends Error {
  override readonly name = "UnsentMessagesError";

  constructor(queueUrl: string, refusals: readonly Refusal[], of: number) {
    const causes = new Set(refusals.map(({ code, message }) => `${code} ${message}`.trim()));
    super(`${refusals.length} of ${of} messages were not taken by ${queueUrl}: ${[...causes].join("; ")}`);
  }
}
