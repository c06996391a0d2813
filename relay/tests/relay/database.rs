//! `nx-27017` as a process, and a client that looks what is in it.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use futures_util::TryStreamExt;
use kit::wait::eventually;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A database on a port of its own, with a file of its own.
pub(crate) struct Database {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
    runtime: Runtime,
}

impl Database {
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut database = Self { folder: tempfile::tempdir().expect("a folder"), port, child: None, runtime };
        database.restart();
        database
    }

    /// Ends it without a word and starts it again.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let path = |name: &str| self.folder.path().join(name);
        let mut command = Command::new("nx-27017");
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--db"]).arg(path("db"));
        command.arg("--log-file").arg(path("log")).arg("--pid-file").arg(path("pid"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("nx-27017 is installed: pip install nx-27017"));
        eventually("nx-27017 listens", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/shop", self.port)
    }

    /// All documents of a collection, as JSON, by `_id`.
    pub(crate) fn all(&self, collection: &str) -> Vec<Value> {
        let asked = self.runtime.block_on(async {
            let client = Client::with_uri_str(self.url()).await?;
            let kept: Collection<Document> = client.default_database().expect("named").collection(collection);
            kept.find(doc! {}).await?.try_collect::<Vec<Document>>().await
        });
        let mut all: Vec<Value> = asked
            .expect("the database answers")
            .into_iter()
            .map(|document| serde_json::to_value(document).expect("it was JSON"))
            .collect();
        all.sort_by_key(|document| document["_id"].to_string());
        all
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.kill();
    }
}
