// A chat as a file, and back: our own JSON (all branches, and the shown one as plain messages), or Markdown to read.

import { Conversation, freshId } from "./conversation.js";
import { isChat } from "./history.js";

const LARGEST = 2 << 20;

export function asJson(conversation) {
  const messages = conversation.path().map(({ role, content }) => ({ role, content }));
  return `${JSON.stringify({ format: "minigpt-chat", version: 1, messages, chat: conversation.plain() }, null, 2)}\n`;
}

export function asMarkdown(conversation, names) {
  const turn = ({ role, content, model, seed }) => {
    const about = [model, seed !== undefined && `seed ${seed}`].filter(Boolean).join(", ");
    return `**${names[role]}**${about ? ` (${about})` : ""}\n\n${content}\n`;
  };
  return `# ${conversation.title}\n\n${conversation.path().map(turn).join("\n")}`;
}

/** A conversation from a file's text: ours, or any {"messages": [{role, content}, ...]}. Null if it is neither. */
export function fromJson(text) {
  if (text.length > LARGEST) return null;
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    return null;
  }
  if (isChat(data?.chat)) return new Conversation({ ...data.chat, id: freshId(), updated: Date.now() });
  const messages = Array.isArray(data) ? data : data?.messages;
  const good = Array.isArray(messages) && messages.length
    && messages.every((one) => typeof one?.content === "string" && ["system", "user", "assistant"].includes(one.role));
  if (!good) return null;
  const conversation = new Conversation();
  let parent = null;
  for (const { role, content } of messages) {
    if (role !== "system") parent = conversation.add(parent, role, content).id;
  }
  return conversation;
}
