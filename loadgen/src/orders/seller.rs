//! One seller: a connection, seats that it holds, and the next call of its order.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::hall::Api;
use crate::limits::SELLER_CART_SEATS;
use crate::net::socket::blocking;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Call {
    /// Seats for the next orders; rare.
    Hold,
    /// `PUT` of an order.
    Checkout,
    /// Its booking.
    Book,
}

impl Call {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Checkout => "checkout",
            Self::Book => "book",
        }
    }
}

/// A seller.
pub(super) struct Seller {
    socket: OwnedFd,
    head: String,
    room: String,
    number: usize,
    /// Seats of an order.
    seats: usize,
    order: usize,
    next: Call,
    asked: u64,
    got: Vec<u8>,
}

impl Seller {
    pub(super) fn new(api: &Api, room: &str, number: usize, seats: usize) -> Result<Self, String> {
        let socket = blocking(api.addr(), Duration::from_secs(20)).map_err(|error| format!("--api: {error}"))?;
        let head = format!("Host: {}\r\n{}", api.addr(), api.head());
        let room = room.to_owned();
        Ok(Self { socket, head, room, number, seats, order: 0, next: Call::Hold, asked: 0, got: Vec::new() })
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Orders for which it holds seats at a time.
    fn cart_orders(&self) -> usize {
        SELLER_CART_SEATS / self.seats
    }

    /// The seats of so many orders from this one on, as JSON.
    fn names(&self, orders: usize) -> String {
        let seats = self.order * self.seats..(self.order + orders) * self.seats;
        let names: Vec<String> = seats.map(|seat| format!("\"{}-{seat}\"", self.number)).collect();
        format!("[{}]", names.join(","))
    }

    /// Sends the next call, which was due then.
    pub(super) fn ask(&mut self, due: u64) -> Result<(), String> {
        let (room, number, order) = (&self.room, self.number, self.order);
        let (method, path, body) = match self.next {
            Call::Hold => {
                let seats = self.names(self.cart_orders());
                ("POST", "hold".to_owned(), format!("{{\"holder\":\"till {number}\",\"seats\":{seats}}}"))
            }
            Call::Checkout => {
                let seats = self.names(1);
                let body = format!("{{\"owner\":{{\"holder\":\"till {number}\"}},\"seats\":{seats}}}");
                ("PUT", format!("orders/o-{number}-{order}"), body)
            }
            Call::Book => ("POST", format!("orders/o-{number}-{order}/book"), "{}".to_owned()),
        };
        let (head, length) = (&self.head, body.len());
        let text = format!("{method} /v1/rooms/{room}/{path} HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}");
        self.asked = due;
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let sent = send(&self.socket, rest, SendFlags::NOSIGNAL).map_err(|error| format!("--api: {error}"))?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Takes what has come. When the answer is whole: what was asked, and when that was due.
    pub(super) fn take(&mut self) -> Result<Option<(Call, u64)>, String> {
        let mut buffer = [0; 16 * 1024];
        while let Ok((_, count)) = recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            if count == 0 {
                return Err("the server has hung up".to_owned());
            }
            self.got.extend_from_slice(&buffer[..count]);
        }
        let Some(status) = self.answered()? else { return Ok(None) };
        if !(200..300).contains(&status) {
            return Err(format!("{}: {}", self.next.word(), String::from_utf8_lossy(&self.got)));
        }
        self.got.clear();
        let done = self.next;
        self.next = match done {
            Call::Hold => Call::Checkout,
            Call::Checkout => Call::Book,
            Call::Book => {
                self.order += 1;
                if self.order.is_multiple_of(self.cart_orders()) { Call::Hold } else { Call::Checkout }
            }
        };
        Ok(Some((done, self.asked)))
    }

    /// The status, once the answer is whole.
    fn answered(&self) -> Result<Option<u16>, String> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.got).map_err(|error| format!("--api: {error}"))?;
        let httparse::Status::Complete(head) = parsed else { return Ok(None) };
        let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
        let is_whole = self.got.len() >= head + length.unwrap_or(0);
        Ok(response.code.filter(|_| is_whole))
    }
}
