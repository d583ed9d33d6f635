/**
 * Every bound of the engine in one place (R8), each next to the AWS limit it has to fit into.
 * `test/definition/limits.test.ts` asserts how they relate to each other.
 */
export const limits = {
  /** Steps of one workflow: their states share one run item, and DynamoDB bills the whole item on each update. */
  stepsPerWorkflow: 200,
  /** Characters of a workflow name or step id. Names travel in messages, keys and metric dimensions. */
  nameLength: 64,
  /** Characters of a run id. DynamoDB allows 2,048 bytes for a partition key. */
  runIdLength: 128,
  /** Characters of the id of a run that another run started: its parent's, and the step's behind it, at each level. */
  derivedRunIdLength: 1024,
  /** Runs that start runs that start runs …: so many levels below the one that a user started. */
  nesting: 8,
  /** Tags of one run, and characters of a tag's key and value. */
  tagsPerRun: 10,
  tagLength: 128,
  /** Bytes of one payload (input or output) as JSON. Lambda takes and answers 6 MB, API Gateway 10 MB, envelopes included. */
  payloadBytes: 4 * 1024 * 1024,
  /** A payload above this is a blob of its own. A DynamoDB item ends at 400 KB, its keys and names included. */
  itemPayloadBytes: 300 * 1024,
  /** A payload above this is not shown with its run but told by its size, and asked for by itself. */
  shownPayloadBytes: 64 * 1024,
  /** Depth of a payload's nesting; deeper values are refused before any recursive code meets them. */
  payloadDepth: 100,
  /** A run item up to this size costs one write unit per update: DynamoDB rounds up to 1,024 bytes. */
  runItemBytes: 1024,
  /** A payload stays in the run item when so few bytes more than its key take. */
  inlineBytes: 16,
  /** Outputs are moved out of the run item when so much room is there afterwards: for two ends of steps or so. */
  archiveRoomBytes: 64,
  /** And when so many writes are still to come: an archive is written and, in the end, deleted. */
  archiveWritesLeft: 6,
  /** Bytes set aside per step that has not ended when deciding whether an output still fits into the run item. */
  stepStateBytes: 24,
  /** Characters kept of an error's message: in the run item, and in the step's own record; and of its stack. */
  errorSummaryLength: 200,
  errorMessageLength: 2_000,
  errorStackLength: 8_000,
  /** Errors that are each the cause of the one before: what tells one failure from another. */
  errorCauses: 4,
  /** Failures of a step's background work that are kept with it; the log has them all. */
  backgroundErrors: 5,
  /** Bytes of one message. SQS allows 1 MiB and bills in steps of 64 KiB. */
  messageBytes: 16 * 1024,
  /** Redrives of one run: what a step left behind is looked for through all of its run's epochs. */
  redrives: 100,
  /** Items of one map. */
  mapItems: 100_000,
  /** Items of one shard of a map: their states and small outputs stay within `runItemBytes`. */
  shardItems: 16,
  /** Shards that one shard starts, when the items are more. */
  shardFanOut: 32,
  /** Shards that are read at the same time for the results of a map. */
  shardReads: 16,
  /** Characters of who ended a step by hand, and of why. */
  byLength: 128,
  reasonLength: 1_000,
  /** Attempts that a finite retry policy may ask for. `Infinity` is the other choice. */
  attempts: 1_000,
  /** Longest pause between two attempts, including what a `RetryableError` asks for. */
  retryDelayMs: 24 * 3_600_000,
  /** Longest attempt. Lambda ends at 15 min; the embedded engine may go on for a day. */
  stepTimeoutMs: 24 * 3_600_000,
  /** Longest delay, start time ahead of now, and run timeout. EventBridge Scheduler takes any date; a leap year bounds ours. */
  delayMs: 366 * 24 * 3_600_000,
  /** How long a worker may hold an attempt without renewing, and how often it renews. */
  leaseMs: 30_000,
  leaseRenewalMs: 10_000,
  /** How long a received message stays invisible without being extended: longer than a lease, so that whoever sees it again may take over. */
  visibilityMs: 40_000,
  /** A queue that hides its messages for longer than this has it shortened to `visibilityMs` for each that is received. */
  queueVisibilityMs: 120_000,
  /** SQS delays a message by at most 15 min; EventBridge Scheduler waits for what is further ahead. */
  queueDelayMs: 15 * 60_000,
  /** Clocks of two machines may differ by this much; a lease that ends later than any honest clock allows counts as expired. */
  clockSkewMs: 60_000,
  /**
   * A message whose run is not there is dropped after this time. A start arms its messages and writes its run within
   * half of it; the other half is for clocks that differ.
   */
  startGraceMs: 120_000,
  startRetryMs: 1_000,
  /** A change from outside arms a nudge this far ahead; its sender must have written by then (HTTP API: 30 s). */
  nudgeDelayMs: 45_000,
  /** A decision that keeps losing its condition re-reads and decides again at most this often before the message is redelivered. */
  decisionTries: 20,
  /** Steps that one write may skip or block. A DynamoDB expression ends at 4 KB. */
  settledPerWrite: 40,
  /** Deliveries that may end in an engine error before the message is a dead letter. */
  deliveries: 8,
  /**
   * On SQS also throttled deliveries and crashed workers count, so there are more of them. The pauses between them grow
   * from a second to `redeliveryMs`, so an outage of an hour makes no dead letters.
   */
  receives: 20,
  redeliveryMs: 5 * 60_000,
  /** Characters of a task token as it is handed out: twice what the longest run id needs. */
  tokenLength: 512,
  /** Signs of life of a callback that cost a write within one heartbeat timeout; more of them cost nothing. */
  heartbeatWrites: 10,
  /** Bytes of a heartbeat's details as JSON: they lie in the run item, which DynamoDB bills whole on each update. */
  heartbeatBytes: 1024,
  /** Questions that one step may ask people: the ids of its answers share the run item. */
  interruptsPerStep: 20,
  /** An aborted attempt is waited for this long before the worker goes on without it. */
  abortGraceMs: 2_000,
  /** Tracked background work of a step is waited for at most this long after its attempt. */
  backgroundMs: 5 * 60_000,
  /** What a worker keeps of its remaining time to say what became of its message: a few writes, also slow ones. */
  farewellMs: 5_000,
  /** Runs that may hold a slot of one gate, and attempts that may begin per time. */
  flowLimit: 1_000,
  /** Characters of the key that runs or steps share a limit by. It is part of a DynamoDB key, in up to 3 bytes each. */
  flowKeyLength: 128,
  /** Times that a rate may be counted over. */
  rateLeastMs: 1_000,
  rateMostMs: 24 * 3_600_000,
  /** Attempts that begin within this part of the time are counted as one group, so that a record stays below 1 KB. */
  rateGroups: 20,
  /** An attempt for which there is no room looks again after this time at the latest. SQS hides a message for up to 12 h. */
  rateWaitMs: 15 * 60_000,
  /** Steps between the times of a schedule: cron and EventBridge Scheduler know whole minutes. */
  scheduleLeastMs: 60_000,
  /** Bytes of a schedule's input as JSON. It stands in a CloudFormation template of up to 1 MB, and is sent by EventBridge Scheduler. */
  scheduleInputBytes: 16 * 1024,
  /**
   * Messages that follow each other at once although none of them changes anything. The longest chain that is no fault goes
   * through all levels of runs that have started runs, once up and once down: some 80.
   */
  hops: 1_000,
  /** Slots that one delivery hands on; each takes a few writes. The next delivery goes on. */
  slotsPerDelivery: 50,
  /**
   * A run that should have moved for this long has lost its messages: longer than anything that is in flight hides from
   * it, a lost worker's message and a wait for a rate limit's next look included.
   */
  auditAfterMs: 15 * 60_000,
  /** Runs that one call of the audit looks at; the next goes on. At 10 ms for a look this takes some 5 s. */
  auditRuns: 8_000,
  /** Runs that the audit looks at at the same time. */
  auditReads: 16,
  /**
   * How long a run may be kept after its end. The least leaves time for everything that its end has set off, and for its
   * start to be repeated; the most, about ten years, keeps an expiry within what DynamoDB and dates can tell.
   */
  retentionLeastMs: 3_600_000,
  retentionMs: 90 * 24 * 3_600_000,
  retentionMostMs: 3_660 * 24 * 3_600_000,
  /** The embedded engine removes expired runs so many at a time, and looks for others after a pause. */
  expiredRuns: 50,
  expiryPauseMs: 60_000,
  /** Runs that one call removes, of those that a run has started; others finish the rest. */
  removedRuns: 1_000,
  /** Graphs of older definitions that a worker keeps in memory. */
  cachedGraphs: 100,
  /** Runs that a process keeps decoded, because it is at work on them: some KB each. */
  rememberedRuns: 500,
  /**
   * Processes that may wait for the end of one run at the same time: each has one queue, whatever the number of its waits,
   * and its name of some 20 bytes lies in the run item, which DynamoDB bills whole on each update.
   */
  waiters: 20,
  /** A wait is registered for this time, then again. So one whose notice was lost for good learns of the end after it. */
  waiterMs: 3_600_000,
  /** The longest wait that can be asked for: that of the longest run. */
  waitMs: 366 * 24 * 3_600_000,
  /** One request for notices waits for so long when there are none: SQS allows 20 s. */
  replyPollMs: 20_000,
  /** Tries to ask for notices, or to make a queue for them, grow apart from a second to this. */
  replyRetryMs: 30_000,
  /** A process that waits on and on makes a new reply queue after this time. */
  replyQueueMs: 12 * 3_600_000,
  /** A reply queue of this age belongs to nobody any more: its process is gone, or has made a new one and waited its last wait on it. */
  replyOrphanMs: 24 * 3_600_000,
  /** Orphaned reply queues that one audit deletes; the next goes on. */
  replyOrphans: 200,
  /** Tries of one request to an HTTP API, and the pauses between them: they double, up to the most. */
  httpTries: 4,
  httpPauseMs: 100,
  httpPauseMostMs: 5_000,
  /** An answer that takes longer never comes: API Gateway ends a request after 30 s. */
  httpAnswerMs: 40_000,
  /** Tries of one request to AWS, and the longest wait for the answer to each. */
  requestTries: 4,
  requestMs: 3_000,
  /** The same for a blob, which takes its time on a small function. */
  blobTries: 3,
  blobRequestMs: 8_000,
  /** Requests for one batch before what is left of it is given up: AWS may read, or take, a part of it only. */
  batchTries: 7,
  /** Keys that DynamoDB takes in one batch of reads. */
  batchKeys: 100,
  /** The same for deletes, and for objects of S3. */
  batchDeletes: 25,
  objectsPerDelete: 1_000,
  /** Runs of one page of a list. DynamoDB reads them 100 at a time. */
  listedRuns: 1_000,
  /** Runs of one page over HTTP: an answer of a few hundred KB at most, tags and errors included. */
  answeredRuns: 100,
  /** Characters of a cursor: what a store needs to find its place again, and a signature. */
  cursorLength: 2_048,
  /** Faults of one input or payload that are told: a large one may have a fault in each of its parts. */
  shownIssues: 50,
  /** Characters of a URL. API Gateway takes 10 KB for it and the headers together, Node 16 KB. */
  urlLength: 8_192,
  /** Entries that one page of a list reads when only some of them match: a rare match takes more pages, not a longer one. */
  listReads: 500,
  /** Days that statistics look back over; a leap year. */
  statsDays: 366,
  /** Kinds of failures that are told apart in one list of them. */
  failureGroups: 1_000,
  /** Workflows that a table has ever had, of which a list of all of them reads: each takes 28 queries. */
  listedWorkflows: 500,
  /** Queries of one page that are under way at the same time: those of one workflow. The SDK has 50 connections. */
  listQueries: 28,
  /** Rows of counts that one answer is made of, each of one day and workflow: a year of 100 workflows, some 20 MB. */
  countRows: 40_000,
  /** Writes that DynamoDB takes in one batch, and in one transaction. */
  batchWrites: 25,
  transactionWrites: 100,
  /** Batches of writes that are under way at the same time, of one batch of status changes. */
  projectionWrites: 8,
  /** How long it is remembered which status changes are counted: longer than the table's stream, which keeps 24 h, may repeat them. */
  countedMs: 26 * 3_600_000,
  /** Runs that one bulk operation acts on, so that their ids are one payload: about 60 bytes each. */
  operationRuns: 50_000,
  /** Bytes that it keeps of them, less than a payload may have. */
  operationBytes: 3_500_000,
  /** Runs that it acts on in a second, at most, and when nothing else is said. */
  operationRate: 200,
  usualOperationRate: 50,
  /**
   * It goes from part to part, each a step of its own: so many runs and so long, at the rate that was asked for. That is
   * far below a minute, which every worker has; and of a part that is cut off, the runs are looked at again.
   */
  operationPartRuns: 200,
  operationPartMs: 20_000,
  /** Parts of one operation: whoever asks how far it is reads 18 runs. At a low rate they bound its runs. */
  operationParts: 256,
  /** Runs that it acts on at the same time. */
  operationParallel: 16,
  /** Runs are selected for so long: the step that does it has a minute. */
  operationSelectMs: 40_000,
  /** Failures of an operation that are told; all are counted. */
  operationFailures: 100,
  /** Runs that a dry run names. */
  operationExamples: 10,
  /** Attempts to deliver one event to one webhook: over about a day. */
  webhookAttempts: 14,
  /** What a receiver may ask for by `retry-after`; outside of it, this counts. */
  webhookRetryLeastMs: 1_000,
  webhookRetryMs: 6 * 3_600_000,
  /** Status changes that are kept for webhooks and read at once, and the pause after one that could not be passed on. */
  keptChanges: 100,
  keptChangeRetryMs: 10_000,
  /** Runs of one page of open runs. */
  pageRuns: 100,
} as const;
