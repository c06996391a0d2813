//! Whether the server does what its mode promises, and the body of `/health`. Pure.
//!
//! Invariant: a store that is away in `window` mode does not stop the sale, so `/health` does not say 503: an
//! orchestrator would end a server that still sells. Never here: where the facts come from.

use serde_json::json;

use crate::config::{Durability, Store};

const UNDECLARED_PROXY: &str = "nearly everybody comes from one private address, which has all the connections that it may \
    have: if that is a proxy, set TRUSTED_PROXIES";

/// What `/health` follows from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    pub(crate) is_draining: bool,
    pub(crate) is_serving: bool,
    pub(crate) websockets: usize,
    pub(crate) rooms: usize,
    pub(crate) store: Store,
    pub(crate) durability: Durability,
    /// The name of what the shards run on.
    pub(crate) runtime: &'static str,
    /// A private address from which nearly everybody comes has reached its limit.
    pub(crate) has_undeclared_proxy: bool,
    /// What the store says of itself, when there is one.
    pub(crate) state: Option<StoreState>,
}

/// What the store says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoreState {
    /// No other server can be the writer.
    pub(crate) may_grant: bool,
    pub(crate) is_connected: bool,
    /// It has lost something since it was written.
    pub(crate) is_damaged: bool,
    pub(crate) error: Option<String>,
}

impl Facts {
    /// The status code, and the same in a word.
    pub(crate) fn verdict(&self) -> (u16, &'static str) {
        if self.is_draining {
            (503, "draining")
        } else if !self.is_serving {
            (503, "starting")
        } else {
            self.state.as_ref().map_or((200, "healthy"), |state| store_verdict(self.durability, state))
        }
    }

    /// The body of `/health` and `/ready`.
    pub(crate) fn body(&self) -> String {
        let is_connected = self.state.as_ref().is_some_and(|state| state.is_connected);
        let mut body = json!({
            "status": self.verdict().1,
            "service": "websocket",
            "active_connections": self.websockets,
            "active_rooms": self.rooms,
            "redis_connected": self.store == Store::Redis && is_connected,
            "store": self.store.name(),
            "durability": self.durability.name(),
            "runtime": self.runtime,
            "version": env!("CARGO_PKG_VERSION"),
        });
        if let Some(error) = self.state.as_ref().and_then(|state| state.error.as_deref()) {
            body["store_error"] = error.into();
        }
        if self.has_undeclared_proxy {
            body["notice"] = UNDECLARED_PROXY.into();
        }
        body.to_string()
    }
}

fn store_verdict(durability: Durability, state: &StoreState) -> (u16, &'static str) {
    if !state.may_grant || (durability == Durability::Durable && !state.is_connected) {
        (503, "unavailable")
    } else if state.is_connected && !state.is_damaged {
        (200, "healthy")
    } else {
        (200, "degraded")
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, StoreState};
    use crate::config::{Durability, Store};

    fn facts(durability: Durability, state: Option<(bool, bool)>) -> Facts {
        let state = state.map(|(may_grant, is_connected)| StoreState {
            may_grant,
            is_connected,
            is_damaged: false,
            error: (!is_connected).then(|| "no route".into()),
        });
        let store = if state.is_some() { Store::Redis } else { Store::Memory };
        let runtime = "threads";
        Facts {
            is_draining: false,
            is_serving: true,
            websockets: 3,
            rooms: 2,
            store,
            durability,
            runtime,
            has_undeclared_proxy: false,
            state,
        }
    }

    #[test]
    fn a_store_that_is_away_stops_a_durable_sale_only() {
        let check = |durability, state, status, word| {
            assert_eq!(facts(durability, state).verdict(), (status, word), "{durability:?} {state:?}");
        };
        check(Durability::Memory, None, 200, "healthy");
        check(Durability::Window, Some((true, true)), 200, "healthy");
        check(Durability::Window, Some((true, false)), 200, "degraded");
        check(Durability::Window, Some((false, true)), 503, "unavailable");
        check(Durability::Durable, Some((true, true)), 200, "healthy");
        check(Durability::Durable, Some((true, false)), 503, "unavailable");
        check(Durability::Durable, Some((false, false)), 503, "unavailable");
    }

    #[test]
    fn a_damaged_store_is_no_good_health_but_sells() {
        let mut damaged = facts(Durability::Window, Some((true, true)));
        damaged.state.iter_mut().for_each(|state| state.is_damaged = true);
        assert_eq!(damaged.verdict(), (200, "degraded"));
    }

    #[test]
    fn who_starts_or_drains_takes_no_work_whatever_the_store_says() {
        let well = facts(Durability::Window, Some((true, true)));
        assert_eq!(Facts { is_serving: false, ..well.clone() }.verdict(), (503, "starting"));
        assert_eq!(Facts { is_serving: false, is_draining: true, ..well }.verdict(), (503, "draining"));
    }

    #[test]
    fn the_body_says_why() {
        let body: serde_json::Value =
            serde_json::from_str(&facts(Durability::Window, Some((true, false))).body()).expect("it is JSON");
        assert_eq!((&body["status"], &body["store_error"]), (&"degraded".into(), &"no route".into()));
        assert_eq!((&body["redis_connected"], &body["active_connections"]), (&false.into(), &3.into()));
        assert_eq!(body["runtime"], "threads");
        let well: serde_json::Value =
            serde_json::from_str(&facts(Durability::Window, Some((true, true))).body()).expect("it is JSON");
        assert!(well.get("store_error").is_none() && well["redis_connected"] == true);
        assert!(well.get("notice").is_none());
        let proxied = Facts { has_undeclared_proxy: true, ..facts(Durability::Window, Some((true, true))) };
        let body: serde_json::Value = serde_json::from_str(&proxied.body()).expect("it is JSON");
        let notice = body["notice"].as_str().expect("a text");
        assert!(notice.ends_with("set TRUSTED_PROXIES") && body["status"] == "healthy", "{body}");
    }
}
