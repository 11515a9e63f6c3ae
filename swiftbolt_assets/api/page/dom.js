/**
 * Making and filling elements; text goes in as text, never as markup.
 *
 * What belongs here: two functions. What does not: any element of the page.
 */

/** The element with an id, which the page has. */
export function find(id) {
  return document.getElementById(id);
}

/** An element with properties and children; strings become text nodes. */
export function make(tag, properties = {}, ...children) {
  const { role, aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  if (role) element.setAttribute("role", role);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}
