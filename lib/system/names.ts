/** Names of Pawl's own workflows. */
export const bulkName = "pawl-bulk";
export const webhookName = "pawl-webhook";
