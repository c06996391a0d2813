//! Reads the requests of the second protocol.
//!
//! Invariants: fields that are not known are ignored, whatever they hold; what a refusal repeats is bounded; what a
//! message costs follows from its length. Never here: how JSON is taken apart (see `json_read`), what a request does.

use std::borrow::Cow;

use super::request::{Ask, BadRequest, Best, Kind, Message, Names, RequestId, Since, Written};
use crate::engine::ids::is_valid_id;
use crate::limits::{
    ID_BYTES_MAX, JSON_LIST_MAX, JSON_SIGNS_MAX, JSON_SIGNS_OF_SEATS_MAX, NAMES_PER_FILTER_MAX, REQUEST_ID_BYTES_MAX,
    REQUEST_TYPE_BYTES_MAX, RESUMED_ROOMS_MAX, SEATS_PER_REQUEST_MAX, SINCE_BYTES_MAX,
};
use crate::wire::code::Fault;
use crate::wire::json_read::{ObjectReader, Value};
use crate::wire::message::{BadMessage, unreadable};
use crate::wire::raw_member::raw_member;

const _: () = assert!(SEATS_PER_REQUEST_MAX <= JSON_LIST_MAX && RESUMED_ROOMS_MAX <= JSON_LIST_MAX);
const _: () = assert!(NAMES_PER_FILTER_MAX <= JSON_LIST_MAX);

const UNKNOWN_TYPE: &str = "type must be join_room, leave_room, select_seats, select_best, release_seats, extend_hold, \
                            sync, resume, auth or ping";

/// Reads requests. One a shard, since it keeps buffers.
pub struct Reader {
    objects: ObjectReader,
    user_info_bytes_max: usize,
}

impl Reader {
    /// A reader that takes a `user_info` of at most so many bytes.
    #[must_use]
    pub fn new(user_info_bytes_max: usize) -> Self {
        let signs_max = user_info_bytes_max + JSON_SIGNS_MAX + JSON_SIGNS_OF_SEATS_MAX;
        Self { objects: ObjectReader::new(signs_max), user_info_bytes_max }
    }

    /// Reads the text of one message. `text` is rewritten.
    ///
    /// # Errors
    /// It is no request. That changes nothing and ends nothing.
    pub fn read<'a>(&'a mut self, text: &'a mut [u8]) -> Result<Message<'a>, BadRequest<'a>> {
        let values = self.objects.read_values(text, Fields::NAMES);
        let values = values.map_err(|why| BadRequest { id: None, bad: unreadable(why) })?;
        let mut fields = Fields::new(values);
        fields.id = fields.read_id()?;
        let kind = fields.kind()?;
        let ask = fields.ask(kind, self.user_info_bytes_max)?;
        Ok(Message { id: fields.id, kind, ask })
    }
}

/// The fields of a message as they came.
struct Fields<'a> {
    /// Read before all else.
    id: Option<RequestId<'a>>,
    values: [Value<'a>; Fields::NAMES.len()],
}

/// Where a field stands among [`Fields::NAMES`].
#[derive(Clone, Copy)]
enum Field {
    Id,
    Type,
    Room,
    Seat,
    Seats,
    Release,
    All,
    UserInfo,
    Since,
    Quantity,
    Sections,
    Categories,
    Accessible,
    Adjacent,
    SessionToken,
    Rooms,
    Token,
    Time,
    Packed,
}

impl<'a> Fields<'a> {
    const NAMES: [&'static str; 19] = [
        "id",
        "type",
        "room_id",
        "seat_id",
        "seats",
        "release",
        "all",
        "user_info",
        "since",
        "quantity",
        "sections",
        "categories",
        "accessible",
        "adjacent",
        "session_token",
        "rooms",
        "token",
        "t",
        "packed",
    ];

    fn new(values: [Value<'a>; Fields::NAMES.len()]) -> Self {
        Self { id: None, values }
    }

    fn get(&self, field: Field) -> &Value<'a> {
        &self.values[field as usize]
    }

    /// An `id` that is none makes the request one without.
    fn read_id(&self) -> Result<Option<RequestId<'a>>, BadRequest<'a>> {
        let id = match self.written(Field::Id) {
            Ok(None) => return Ok(None),
            Ok(Some(Written::Text(text))) => Some(RequestId::Text(text)),
            Ok(Some(Written::Number(number))) if is_whole(number) => {
                Some(whole(number).map_or(RequestId::Digits(number), RequestId::Number))
            }
            Ok(Some(Written::Number(_))) | Err(Unwritten) => None,
        };
        let rule = || format!("id must be an integer or a string of at most {REQUEST_ID_BYTES_MAX} bytes");
        id.map(Some).ok_or_else(|| self.bad(Fault::Field, rule()))
    }

    fn kind(&self) -> Result<Kind, BadRequest<'a>> {
        let name = self.text(Field::Type)?;
        Kind::named(name).ok_or_else(|| self.bad(Fault::Type, UNKNOWN_TYPE))
    }

    fn ask(&mut self, kind: Kind, user_info_bytes_max: usize) -> Result<Ask<'a>, BadRequest<'a>> {
        Ok(match kind {
            Kind::Resume => {
                let token = self.text(Field::SessionToken)?;
                Ask::Resume { token, rooms: self.names(Field::Rooms, RESUMED_ROOMS_MAX)? }
            }
            Kind::Auth => Ask::Auth { token: self.text(Field::Token)? },
            Kind::Join => Ask::Join { room: self.room()?, since: self.since(), packed: self.packed() },
            Kind::Leave => Ask::Leave { room: self.room()? },
            Kind::SelectSeats | Kind::SelectSeat => {
                let room = self.room()?;
                let seats = self.seats(kind == Kind::SelectSeat)?;
                let release = self.release(seats.as_slice())?;
                Ask::Select { room, seats, release, user_info: self.user_info(user_info_bytes_max)? }
            }
            Kind::SelectBest => {
                let (room, query) = (self.room()?, self.best()?);
                let release = self.release(&[])?;
                Ask::Best { room, query, release, user_info: self.user_info(user_info_bytes_max)? }
            }
            Kind::ReleaseSeats => Ask::Release { room: self.room()?, seats: self.seats_or_all()? },
            Kind::ReleaseSeat => Ask::Release { room: self.room()?, seats: Some(self.seats(true)?) },
            Kind::ExtendHold => Ask::Extend { room: self.room()? },
            Kind::Sync => Ask::Sync { room: self.room()?, packed: self.packed() },
            Kind::Ping => Ask::Ping { t: self.time()? },
        })
    }

    fn room(&self) -> Result<&'a str, BadRequest<'a>> {
        self.id(Field::Room)
    }

    fn id(&self, field: Field) -> Result<&'a str, BadRequest<'a>> {
        let text = self.text(field)?;
        is_valid_id(text).then_some(text).ok_or_else(|| self.bad_id(Self::NAMES[field as usize]))
    }

    fn text(&self, field: Field) -> Result<&'a str, BadRequest<'a>> {
        let value = self.get(field);
        if let Value::Text(text) = *value { Ok(text) } else { Err(self.bad_type(field, "a string", value)) }
    }

    /// A list of ids, none when there is no such field. Each of them is looked at once.
    fn names(&mut self, field: Field, max: usize) -> Result<Vec<&'a str>, BadRequest<'a>> {
        let name = Self::NAMES[field as usize];
        let value = std::mem::take(&mut self.values[field as usize]);
        let names = match value {
            Value::Missing => return Ok(Vec::new()),
            Value::Texts(names) => Some(names),
            Value::LongList => None,
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Object(_) | Value::Other => {
                return Err(self.bad_type(field, "a list of strings", &value));
            }
        };
        let too_long = || self.bad(Fault::Field, format!("{name} must be a list of at most {max}"));
        let names = names.filter(|names| names.len() <= max).ok_or_else(too_long)?;
        let all_valid = names.iter().all(|text| is_valid_id(text));
        if all_valid { Ok(names) } else { Err(self.bad_id(&format!("each of {name}"))) }
    }

    fn seats(&mut self, is_one: bool) -> Result<Names<'a>, BadRequest<'a>> {
        if is_one {
            return Ok(Names::One(self.id(Field::Seat)?));
        }
        if *self.get(Field::Seats) == Value::Missing {
            return Err(self.bad(Fault::Field, "seats is missing"));
        }
        let seats = self.names(Field::Seats, SEATS_PER_REQUEST_MAX)?;
        if seats.is_empty() {
            return Err(self.bad(Fault::Field, format!("seats must be a list of 1 to {SEATS_PER_REQUEST_MAX}")));
        }
        self.check_once(&seats, &[], "a seat is in seats twice")?;
        Ok(Names::List(seats))
    }

    /// What is given back, beside what is taken.
    fn release(&mut self, seats: &[&'a str]) -> Result<Vec<&'a str>, BadRequest<'a>> {
        let release = self.names(Field::Release, SEATS_PER_REQUEST_MAX)?;
        self.check_once(&release, seats, "a seat is in release twice, or in release and seats")?;
        Ok(release)
    }

    fn seats_or_all(&mut self) -> Result<Option<Names<'a>>, BadRequest<'a>> {
        if !self.flag(Field::All, false)? {
            return self.seats(false).map(Some);
        }
        let has_seats = *self.get(Field::Seats) != Value::Missing;
        if has_seats { Err(self.bad(Fault::Field, "give seats or all, not both")) } else { Ok(None) }
    }

    fn flag(&self, field: Field, default: bool) -> Result<bool, BadRequest<'a>> {
        match self.get(field) {
            Value::Missing => Ok(default),
            Value::Bool(flag) => Ok(*flag),
            Value::Text(_) | Value::Number(_) | Value::Object(_) | Value::Texts(_) | Value::LongList | Value::Other => {
                Err(self.bad_type(field, "true or false", self.get(field)))
            }
        }
    }

    /// Whether maps may come packed. What is no such word is no wish.
    fn packed(&self) -> bool {
        *self.get(Field::Packed) == Value::Bool(true)
    }

    /// No name stands twice in both lists together.
    fn check_once(&self, list: &[&str], other: &[&str], message: &'static str) -> Result<(), BadRequest<'a>> {
        if list.is_empty() {
            return Ok(());
        }
        let mut all = [list, other].concat();
        all.sort_unstable();
        if all.windows(2).any(|pair| pair[0] == pair[1]) { Err(self.bad(Fault::Field, message)) } else { Ok(()) }
    }

    fn user_info(&self, bytes_max: usize) -> Result<&'a str, BadRequest<'a>> {
        let value = self.get(Field::UserInfo);
        if *value == Value::Missing {
            return Ok("{}");
        }
        let Value::Object(written) = *value else {
            return Err(self.bad_type(Field::UserInfo, "an object", value));
        };
        let fits = written.len() <= bytes_max;
        let rule = || format!("user_info must be at most {bytes_max} bytes of JSON");
        fits.then_some(written).ok_or_else(|| self.bad(Fault::Field, rule()))
    }

    fn best(&mut self) -> Result<Best<'a>, BadRequest<'a>> {
        let most = u32::try_from(SEATS_PER_REQUEST_MAX).expect("it is small");
        let quantity = self.count(Field::Quantity, 1..=most)?;
        let quantity = quantity.ok_or_else(|| self.bad(Fault::Field, "quantity is missing"))?;
        let accessible = self.count(Field::Accessible, 0..=quantity)?.unwrap_or(0);
        let adjacent = self.flag(Field::Adjacent, true)?;
        let sections = self.names(Field::Sections, NAMES_PER_FILTER_MAX)?;
        let categories = self.names(Field::Categories, NAMES_PER_FILTER_MAX)?;
        Ok(Best { quantity, sections, categories, accessible, adjacent })
    }

    fn count(&self, field: Field, range: std::ops::RangeInclusive<u32>) -> Result<Option<u32>, BadRequest<'a>> {
        let number = match self.written(field) {
            Ok(None) => return Ok(None),
            Ok(Some(Written::Number(number))) => whole(number).and_then(|number| u32::try_from(number).ok()),
            Ok(Some(Written::Text(_))) | Err(Unwritten) => None,
        };
        let name = Self::NAMES[field as usize];
        let rule = || format!("{name} must be a whole number from {} to {}", range.start(), range.end());
        number.filter(|number| range.contains(number)).map(Some).ok_or_else(|| self.bad(Fault::Field, rule()))
    }

    /// A position that is none is no reason to refuse: who asks gets the whole state.
    fn since(&self) -> Option<Since> {
        let Value::Object(written) = *self.get(Field::Since) else { return None };
        if written.len() > SINCE_BYTES_MAX {
            return None;
        }
        let epoch = raw_member(written, "epoch")?.strip_prefix('"')?.strip_suffix('"')?;
        let is_epoch = epoch.len() == 16 && epoch.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let epoch = u64::from_str_radix(epoch, 16).ok().filter(|_| is_epoch)?;
        Some(Since { epoch, seq: whole(raw_member(written, "seq")?)? })
    }

    fn time(&self) -> Result<Option<Written<'a>>, BadRequest<'a>> {
        let rule = || format!("t must be a number or a string of at most {REQUEST_ID_BYTES_MAX} bytes");
        self.written(Field::Time).map_err(|Unwritten| self.bad(Fault::Field, rule()))
    }

    /// A short number or string; nothing when there is no such field.
    fn written(&self, field: Field) -> Result<Option<Written<'a>>, Unwritten> {
        let written = match *self.get(field) {
            Value::Missing => return Ok(None),
            Value::Number(number) => Written::Number(number),
            Value::Text(text) => Written::Text(text),
            Value::Bool(_) | Value::Object(_) | Value::Texts(_) | Value::LongList | Value::Other => {
                return Err(Unwritten);
            }
        };
        let (Written::Number(text) | Written::Text(text)) = written;
        if text.len() <= REQUEST_ID_BYTES_MAX { Ok(Some(written)) } else { Err(Unwritten) }
    }

    fn bad_id(&self, name: &str) -> BadRequest<'a> {
        let rule = "bytes of UTF-8 without control and invisible characters";
        self.bad(Fault::Field, format!("{name} must be 1 to {ID_BYTES_MAX} {rule}"))
    }

    /// The field is missing, or is something else.
    fn bad_type(&self, field: Field, what: &str, value: &Value<'_>) -> BadRequest<'a> {
        let name = Self::NAMES[field as usize];
        if *value == Value::Missing {
            return self.bad(Fault::Field, format!("{name} is missing"));
        }
        self.bad(Fault::Field, format!("{name} must be {what}"))
    }

    fn bad(&self, fault: Fault, message: impl Into<Cow<'static, str>>) -> BadRequest<'a> {
        let text = |field| if let Value::Text(text) = *self.get(field) { Some(text) } else { None };
        let bad = BadMessage {
            fault,
            message: message.into(),
            room: text(Field::Room).filter(|id| is_valid_id(id)),
            seat: text(Field::Seat).filter(|id| is_valid_id(id)),
            request_type: text(Field::Type).filter(|kind| kind.len() <= REQUEST_TYPE_BYTES_MAX),
        };
        BadRequest { id: self.id, bad }
    }
}

/// A field is neither a number nor a string, or it is too long.
struct Unwritten;

/// Whether a number is written as a whole one.
fn is_whole(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A whole number that is not negative and fits, as it is written.
fn whole(number: &str) -> Option<u64> {
    number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))
}
