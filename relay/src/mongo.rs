//! MongoDB: events, orders and cursors, in one transaction where the deployment has them, otherwise the cursor last.
//!
//! Invariant: every write may be repeated: an event by its `_id`, an order by the place of its last event. What an
//! order becomes is decided in `orders`. The `update` command is used as it is on the wire: the driver's own bulk write
//! asks for MongoDB 8.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc, to_document};
use mongodb::error::{Error, ErrorKind, Result};
use mongodb::options::{Acknowledgment, ClientOptions, TransactionOptions, WriteConcern};
use mongodb::{Client, ClientSession, Collection, Database};

use crate::event::{Event, shown};
use crate::limits::DELIVERY_TIMEOUT;
use crate::orders::{self, Order};
use crate::source::{Later, Trouble};
use crate::stop::Stop;

/// The database when the URL names none.
const DATABASE: &str = "butaca";
const EVENTS: &str = "seat_events";
const ORDERS: &str = "orders";
const CURSORS: &str = "relay_cursors";
/// Code of MongoDB: a document with this `_id` is there. Somebody else wrote it between looking and writing.
const DUPLICATE_KEY: i32 = 11000;

/// A database.
pub(crate) struct Mongo {
    client: Client,
    database: Database,
    has_transactions: bool,
}

/// Reads the URL. Nothing is asked yet.
pub(crate) async fn open(url: &str) -> std::result::Result<Client, Stop> {
    let wrong = |error: Error| Stop::Usage(format!("--mongo: {}", said(&error)));
    if url.starts_with("mongodb+srv:") {
        return Err(Stop::Usage("--mongo: mongodb+srv:// is not built in: name the hosts, mongodb://a,b,c/db".into()));
    }
    let mut options = ClientOptions::parse(url).await.map_err(wrong)?;
    options.app_name.get_or_insert("butaca-relay".into());
    options.server_selection_timeout.get_or_insert(DELIVERY_TIMEOUT);
    options.connect_timeout.get_or_insert(DELIVERY_TIMEOUT);
    options.default_database.get_or_insert(DATABASE.into());
    Client::with_options(options).map_err(wrong)
}

impl Mongo {
    /// Looks what the deployment can do, and makes the indexes that people ask by.
    pub(crate) async fn connect(client: &Client) -> std::result::Result<Self, Trouble> {
        let database = client.default_database().expect("open has set one");
        let hello = database.run_command(doc! {"hello": 1}).await.map_err(|error| trouble(&error))?;
        // A standalone has no transactions.
        let has_transactions = hello.contains_key("setName") || hello.get_str("msg") == Ok("isdbgrid");
        let mongo = Self { client: client.clone(), database, has_transactions };
        for (collection, keys, name) in [
            (EVENTS, doc! {"room": 1, "epoch": 1, "n": 1}, "room_epoch_n"),
            (ORDERS, doc! {"room": 1, "state": 1}, "room_state"),
        ] {
            let index = doc! {"createIndexes": collection, "indexes": [{"key": keys, "name": name}]};
            mongo.database.run_command(index).await.map_err(|error| trouble(&error))?;
        }
        Ok(mongo)
    }

    /// Whether a batch and its cursor are one transaction.
    pub(crate) fn has_transactions(&self) -> bool {
        self.has_transactions
    }

    /// The cursor of this sink.
    pub(crate) async fn cursor(&self, sink: &str) -> std::result::Result<Option<String>, Trouble> {
        let kept: Collection<Document> = self.database.collection(CURSORS);
        let found = kept.find_one(doc! {"_id": sink}).await.map_err(|error| trouble(&error))?;
        Ok(found.and_then(|found| found.get_str("cursor").ok().map(str::to_owned)))
    }

    /// Keeps the cursor of another sink.
    pub(crate) async fn keep(&self, sink: &str, cursor: &str) -> std::result::Result<(), Trouble> {
        self.update(CURSORS, vec![cursor_update(sink, cursor)], None).await.map(drop).map_err(|failed| failed.at(&[]))
    }

    /// Writes these events, the orders that they change, and the cursor behind the last.
    pub(crate) async fn deliver(&self, sink: &str, events: &[Event]) -> std::result::Result<(), Trouble> {
        let done = if self.has_transactions {
            let mut session = self.client.start_session().await.map_err(|error| trouble(&error))?;
            let all = TransactionOptions::builder().write_concern(majority()).build();
            session.start_transaction().with_options(all).await.map_err(|error| trouble(&error))?;
            match self.write(sink, events, Some(&mut session)).await {
                Ok(()) => session.commit_transaction().await.map_err(Failed::Call),
                Err(failed) => {
                    // It ends by itself when this is not heard.
                    drop(session.abort_transaction().await);
                    Err(failed)
                }
            }
        } else {
            self.write(sink, events, None).await
        };
        done.map_err(|failed| failed.at(events))
    }

    async fn write(
        &self,
        sink: &str,
        events: &[Event],
        mut session: Option<&mut ClientSession>,
    ) -> std::result::Result<(), Failed> {
        let Some(last) = events.last() else { return Ok(()) };
        let inserts: Result<Vec<Document>> = events.iter().map(insert).collect();
        self.update(EVENTS, inserts.map_err(Failed::Call)?, session.as_deref_mut()).await?;
        let changes = self.changes(events, session.as_deref_mut()).await.map_err(Failed::Call)?;
        if !changes.is_empty() {
            let (all, new) =
                (changes.len(), changes.iter().filter(|change| change.get_bool("upsert") == Ok(true)).count());
            let done = self.update(ORDERS, changes, session.as_deref_mut()).await?;
            if done != (Done { matched: all, new }) {
                return Err(Failed::Concern("orders were changed by somebody else: is there another relay?".into()));
            }
        }
        self.update(CURSORS, vec![cursor_update(sink, &last.cursor)], session).await.map(drop)
    }

    /// What these events make of the orders that are there.
    async fn changes(&self, events: &[Event], session: Option<&mut ClientSession>) -> Result<Vec<Document>> {
        let named = events.iter().filter_map(|event| Some(orders::id_of(&event.room, event.order.as_ref()?)));
        let ids: Vec<String> = named.collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let kept: Collection<Order> = self.database.collection(ORDERS);
        let asked = kept.find(doc! {"_id": {"$in": ids}});
        let before: Vec<Order> = match session {
            Some(session) => asked.session(&mut *session).await?.stream(session).try_collect().await?,
            None => asked.await?.try_collect().await?,
        };
        let before: HashMap<String, Order> = before.into_iter().map(|order| (order.id.clone(), order)).collect();
        let mut now = before.clone();
        let mut changed = Vec::new();
        for event in events {
            let Some(name) = &event.order else { continue };
            let id = orders::id_of(&event.room, name);
            if let Some(order) = orders::apply(now.get(&id), event) {
                if !changed.contains(&id) {
                    changed.push(id.clone());
                }
                now.insert(id, order);
            }
        }
        changed.iter().map(|id| replace(before.get(id), &now[id])).collect()
    }

    async fn update(
        &self,
        collection: &str,
        updates: Vec<Document>,
        session: Option<&mut ClientSession>,
    ) -> std::result::Result<Done, Failed> {
        let mut command = doc! {"update": collection, "updates": updates, "ordered": true};
        let answer = match session {
            Some(session) => self.database.run_command(command).session(session).await,
            None => {
                command.insert("writeConcern", doc! {"w": "majority", "j": true});
                self.database.run_command(command).await
            }
        };
        judge(&answer.map_err(Failed::Call)?)
    }
}

/// Why a batch was not written.
enum Failed {
    Call(Error),
    /// This one of the updates, with this code of MongoDB.
    Write {
        at: usize,
        code: i32,
        why: String,
    },
    Concern(String),
}

impl Failed {
    fn at(self, events: &[Event]) -> Trouble {
        match self {
            Self::Call(error) => trouble(&error),
            Self::Write { code: DUPLICATE_KEY, why, .. } | Self::Concern(why) => Trouble::Later(Later::new(why)),
            Self::Write { at, code, why } => {
                let event = events.get(at).or(events.first()).map_or("the cursor", |event| &event.id);
                Trouble::Stop(Stop::Poison(format!("MongoDB will not take event {event} ({code}): {}", shown(&why))))
            }
        }
    }
}

/// What an `update` has found and made.
#[derive(PartialEq, Eq, Debug)]
struct Done {
    /// Documents that were found or made.
    matched: usize,
    /// Those of them that were made.
    new: usize,
}

/// Reads the answer of an `update`: it succeeds as a command also where its writes did not.
fn judge(answer: &Document) -> std::result::Result<Done, Failed> {
    let number =
        |from: &Document, name: &str| from.get(name).and_then(|value| value.as_i64().or(value.as_i32().map(i64::from)));
    let first = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document());
    if let Some(error) = first {
        let [at, code] = ["index", "code"].map(|name| number(error, name).unwrap_or(-1));
        return Err(Failed::Write {
            at: usize::try_from(at).unwrap_or(usize::MAX),
            code: i32::try_from(code).unwrap_or(-1),
            why: error.get_str("errmsg").unwrap_or("it does not say why").to_owned(),
        });
    }
    match answer.get_document("writeConcernError") {
        Ok(error) => Err(Failed::Concern(error.get_str("errmsg").unwrap_or("not written to most").to_owned())),
        Err(_) => Ok(Done {
            matched: usize::try_from(number(answer, "n").unwrap_or(0)).unwrap_or(0),
            new: answer.get_array("upserted").map_or(0, Vec::len),
        }),
    }
}

/// The event as a document, if it is not there yet.
fn insert(event: &Event) -> Result<Document> {
    let mut all = to_document(&event.all)?;
    // The one name that the database has for itself.
    all.remove("_id");
    Ok(doc! {"q": {"_id": &event.id}, "u": {"$setOnInsert": all}, "upsert": true})
}

/// The order as it is now, if what is there is still what it was made from.
fn replace(before: Option<&Order>, order: &Order) -> Result<Document> {
    let mut all = to_document(order)?;
    all.remove("_id");
    Ok(match before {
        None => doc! {"q": {"_id": &order.id}, "u": {"$setOnInsert": all}, "upsert": true},
        Some(before) => {
            let same = doc! {"_id": &order.id, "epoch": &before.epoch, "n": before.n};
            doc! {"q": same, "u": {"$set": all}, "upsert": false}
        }
    })
}

fn cursor_update(sink: &str, cursor: &str) -> Document {
    let at = Bson::DateTime(DateTime::now());
    doc! {"q": {"_id": sink}, "u": {"$set": {"cursor": cursor, "written_at": at}}, "upsert": true}
}

fn majority() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// A password that is wrong stays wrong; everything else of a database may pass.
fn trouble(error: &Error) -> Trouble {
    let is_final = matches!(
        *error.kind,
        ErrorKind::Authentication { .. } | ErrorKind::InvalidArgument { .. } | ErrorKind::InvalidTlsConfig { .. }
    );
    if is_final {
        Trouble::Stop(Stop::Usage(format!("MongoDB: {}", said(error))))
    } else {
        Trouble::Later(Later::new(said(error)))
    }
}

fn said(error: &Error) -> String {
    shown(&error.kind.to_string())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::{Done, Failed, judge, replace};
    use crate::event::tests::event;
    use crate::orders::apply;
    use crate::source::Trouble;
    use crate::stop::Stop;

    #[test]
    fn an_answer_says_what_was_written() {
        let done = judge(&doc! {"ok": 1.0, "n": 2, "upserted": [{"index": 0, "_id": "x"}]});
        assert!(matches!(done, Ok(Done { matched: 2, new: 1 })));
        let events = [event(1, "seat.held", None, &[]), event(2, "seat.held", None, &[])];
        for (answer, is_poison) in [
            (doc! {"writeErrors": [{"index": 1, "code": 121, "errmsg": "Document failed validation"}]}, true),
            (doc! {"writeErrors": [{"index": 0_i64, "code": 11000_i64, "errmsg": "E11000"}]}, false),
            (doc! {"n": 1, "writeConcernError": {"code": 64, "errmsg": "timed out"}}, false),
        ] {
            let trouble = judge(&answer).map_err(|failed: Failed| failed.at(&events)).expect_err("it failed");
            match trouble {
                Trouble::Stop(Stop::Poison(line)) => assert!(is_poison && line.contains("r/e1/2"), "{line}"),
                Trouble::Stop(other) => panic!("{other}"),
                Trouble::Later(_) => assert!(!is_poison, "{answer}"),
            }
        }
    }

    #[test]
    fn an_order_is_replaced_only_where_it_is_as_it_was() {
        let first = apply(None, &event(1, "order.checkout", Some("o"), &["A"])).unwrap();
        let next = apply(Some(&first), &event(2, "order.booked", Some("o"), &["A"])).unwrap();
        assert_eq!(replace(None, &first).unwrap().get_bool("upsert"), Ok(true));
        let update = replace(Some(&first), &next).unwrap();
        assert_eq!(update.get_document("q").unwrap(), &doc! {"_id": "r/o", "epoch": "e1", "n": 1_i64});
    }
}
