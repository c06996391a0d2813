//! The pages of the API for people: `/docs`, made from the table of calls, and `/` for operators. Neither needs another
//! file, or the network beyond this server.
//!
//! Never here: a call that is not in the table.

use std::fmt::Write as _;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::calls::Call;
use super::openapi::problems;
use super::problem::KINDS;
use super::table::CALLS;

/// What the pages may do: show themselves, and ask this server. The one script is that of `/`.
pub(super) fn policy() -> HeaderValue {
    let script = HOME.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>"));
    let (script, _) = script.expect("the page has one script");
    let hash = BASE64_STANDARD.encode(Sha256::digest(script));
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("it is plain text")
}

/// `/`: what an operator sees of the rooms, and may do. It asks this API, with the key that it is given.
pub(super) const HOME: &str = include_str!("operator.html");

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;padding:0 1rem}\
code,pre{font-family:ui-monospace,monospace}pre{overflow:auto;padding:.5rem;border:1px solid #8886}\
section{border-top:1px solid #8886}h3 code{font-size:1.05em}td,th{text-align:left;padding:.2rem .8rem .2rem 0;\
    vertical-align:top}\
</style>";

/// `/docs`, of this OpenAPI document.
pub(super) fn docs(document: &Value) -> String {
    let mut page = format!("{HEAD}<title>Butaca: API</title><h1>Butaca {}: API</h1>", env!("CARGO_PKG_VERSION"));
    page.push_str(
        "<p>JSON over HTTP/1.1. A key is sent as <code>Authorization: Bearer KEY</code>; each role may do what those \
        before it \
         may: <code>read</code>, <code>sell</code>, <code>manage</code>. <code>butaca api-key NAME ROLE</code> makes \
         a key. \
         A server without keys serves its own machine only. What has a name may be asked for again: the answer is \
         the same. \
         For programs: <a href=\"/openapi.json\">/openapi.json</a>.</p><nav><ul>",
    );
    for call in CALLS {
        put(&mut page, format_args!("<li><a href=\"#{}\"><code>{} {}</code></a> ", call.id, call.method, call.path));
        put(&mut page, format_args!("{}", escaped(call.summary)));
    }
    page.push_str("</ul></nav><h2>Calls</h2>");
    CALLS.iter().for_each(|call| section(&mut page, call, document));
    page.push_str("<h2>Refusals</h2><p>Problem details (RFC 9457); <code>code</code> is for programs.</p><table>");
    for kind in KINDS {
        let (code, status, title) = (kind.code, kind.status, escaped(kind.title));
        put(&mut page, format_args!("<tr id=\"{code}\"><td>{status}<td><code>{code}</code><td>{title}"));
    }
    page.push_str("</table><h2>Types</h2>");
    let types = document["components"]["schemas"].as_object().into_iter().flatten();
    for (name, schema) in types {
        let text = serde_json::to_string_pretty(schema).expect("it was JSON");
        put(&mut page, format_args!("<h3 id=\"type-{name}\"><code>{name}</code></h3><pre>{}</pre>", escaped(&text)));
    }
    page
}

fn section(page: &mut String, call: &Call, document: &Value) {
    put(page, format_args!("<section id=\"{}\"><h3><code>{} {}</code></h3>", call.id, call.method, call.path));
    let role = call.role.map_or("everybody".into(), |role| format!("role <code>{}</code>", role.word()));
    put(page, format_args!("<p>{}. For {role}.</p><table>", escaped(call.summary)));
    for param in call.query {
        put(page, format_args!("<tr><td><code>?{}=</code><td>{}", param.name, escaped(param.what)));
    }
    let operation = &document["paths"][call.path][call.method.to_ascii_lowercase()];
    if let Some(name) = type_name(&operation["requestBody"]["content"]["application/json"]["schema"]) {
        put(page, format_args!("<tr><td>sends<td><a href=\"#type-{name}\"><code>{name}</code></a>"));
    }
    for answer in call.answers {
        put(page, format_args!("<tr><td>{}<td>{}", answer.status, escaped(answer.what)));
        let content = &operation["responses"][answer.status.to_string()]["content"][answer.media_type];
        if let Some(name) = type_name(&content["schema"]) {
            put(page, format_args!(": <a href=\"#type-{name}\"><code>{name}</code></a>"));
        }
    }
    for (status, kinds) in problems(call) {
        let codes = kinds.iter().map(|kind| format!("<a href=\"#{0}\"><code>{0}</code></a>", kind.code));
        put(page, format_args!("<tr><td>{status}<td>{}", codes.collect::<Vec<_>>().join(", ")));
    }
    page.push_str("</table></section>");
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a String takes everything");
}

fn type_name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{CALLS, HOME, docs, policy};
    use crate::api::openapi::document;

    #[test]
    fn the_pages_need_no_network_and_name_every_call() {
        let document = serde_json::to_value(document()).unwrap();
        let page = docs(&document);
        for call in CALLS {
            assert!(page.contains(&format!("<section id=\"{}\">", call.id)), "{call:?}");
        }
        assert!(!page.contains("<script"), "the document needs none");
        for page in [page.as_str(), HOME] {
            for foreign in ["http://", "https://", "src=", "@import", "url(", "eval", "innerHTML"] {
                assert!(!page.contains(foreign), "{foreign}");
            }
        }
        assert_eq!(HOME.matches("<script").count(), 1);
        assert!(policy().to_str().unwrap().contains("script-src 'sha256-"));
    }
}
