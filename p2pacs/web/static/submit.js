/* A page that is nothing but a form to be sent: it is sent at once. */
"use strict";
document.querySelector("form[data-submit]").submit();
