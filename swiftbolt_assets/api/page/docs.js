/**
 * The API's description, drawn by Swagger UI from this server's own files.
 *
 * What belongs here: its settings. What does not: the description, which the server makes.
 */

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null, // it would send the description to another origin
});
