//! Records of a later server: this one does not start over them, since it would sell anew what was sold.

use serde_json::{Value, json};

use crate::harness::http::Http;
use crate::harness::{Server, eventually};
use crate::home::{Home, kill, stop};

fn call(server: &Server, line: &str, body: &Value) -> (u16, Value) {
    let text = body.to_string();
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n", text.len());
    let fields = if body.is_null() { "Connection: close\r\n".to_owned() } else { fields };
    let text = if body.is_null() { "" } else { &text };
    let mut http = Http::new(server.dial_api());
    http.send(&format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{text}"));
    let answer = http.response(false);
    (answer.status, answer.json())
}

/// Gives every record of the room this version.
fn rewrite(home: &Home, version: u8) {
    let script = "local key = redis.call('KEYS', '*:room:show')[1]
        for _, field in ipairs(redis.call('HKEYS', key)) do
            local record = redis.call('HGET', key, field)
            redis.call('HSET', key, field, string.char(ARGV[1]) .. string.sub(record, 2))
        end
        return redis.call('HLEN', key)";
    let redis = home.redis.as_ref().expect("it is there");
    let count: u64 = redis.ask(&["EVAL", script, "0", &version.to_string()]);
    assert!(count > 0);
}

#[test]
fn what_a_later_server_wrote_is_not_sold_anew() {
    for durability in ["durable", "window"] {
        let home = Home::redis(durability);
        let server = home.start();
        for (line, body) in [
            ("POST /v1/rooms/show/hold", json!({"holder": "k", "seats": ["1"]})),
            ("PUT /v1/rooms/show/orders/o", json!({"owner": {"holder": "k"}})),
            ("POST /v1/rooms/show/orders/o/book", Value::Null),
        ] {
            let (status, answer) = call(&server, line, &body);
            assert!(status < 300 && (status != 201 || answer["durable"] == true), "{line}: {answer}");
        }
        stop(server);
        rewrite(&home, 4);
        let server = home.start_waiting();
        eventually("it says why it does not start", || {
            server.log().contains("were written by a later version of this server").then_some(())
        });
        assert_eq!(server.get("/health").status, 503);
        assert_eq!(call(&server, "GET /v1/rooms/show", &Value::Null).0, 503, "it serves nobody");
        kill(server);
        rewrite(&home, 3);
        let server = home.start();
        let (_, order) = call(&server, "GET /v1/rooms/show/orders/o", &Value::Null);
        assert_eq!(order["state"], "booked", "nothing was lost meanwhile: {order}");
        stop(server);
    }
}
