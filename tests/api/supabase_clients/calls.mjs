/**
 * Calls of supabase-js in Node: reads one JSON object, prints what each call came to.
 *
 * `{url, key, token, person, calls: [[name, options]], table}`; a token is a person's own, a person
 * `{email, password}` signs in first.
 */

import { createClient } from "@supabase/supabase-js";
import { text } from "node:stream/consumers";

const { url, key, token, person, calls = [], table } = JSON.parse(await text(process.stdin));
const auth = { persistSession: false, autoRefreshToken: false };
const client = createClient(url, key, token ? { accessToken: async () => token } : { auth });
const answers = [];
if (person) {
  const { data, error } = await client.auth.signInWithPassword(person);
  answers.push({ data: data.user?.id ?? null, error: error?.message ?? null });
}
for (const [name, options] of calls) answers.push(await invoke(name, options));
if (table) answers.push(await client.from(table).select("*"));
console.log(JSON.stringify(answers));
process.exit(0); // open streams are not waited for

async function invoke(name, options) {
  const { data, error, response } = await client.functions.invoke(name, options);
  if (error) return { status: error.context?.status, error: await error.context?.json?.() ?? `${error}` };
  if (!(data instanceof Response)) return { status: response.status, data };
  const { value } = await data.body.getReader().read();
  return { status: data.status, data: new TextDecoder().decode(value) };
}
