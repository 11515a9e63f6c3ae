// Draws the API's description; the bundle before this script defines SwaggerUIBundle.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // No call home: the validator badge would send the description to a server elsewhere.
  validatorUrl: null,
});
