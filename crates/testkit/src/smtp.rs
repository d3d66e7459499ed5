//! A mail server that keeps what it gets. It speaks as much SMTP as a client without TLS needs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Result;

/// A mail as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipient.
    pub to: String,
    /// Headers and text.
    pub data: String,
}

impl Letter {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.data.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The server.
#[derive(Debug)]
pub struct MailServer {
    /// `smtp://127.0.0.1:PORT`
    pub url: String,
    /// What arrives.
    pub letters: Receiver<Letter>,
    mood: Arc<Mood>,
}

#[derive(Debug, Default)]
struct Mood {
    busy: AtomicBool,
    slow: AtomicBool,
}

impl MailServer {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("smtp://{}", listener.local_addr()?);
        let (to, letters) = channel();
        let mood = Arc::new(Mood::default());
        let shared = Arc::clone(&mood);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (to, mood) = (to.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &to, &mood));
            }
        });
        Ok(Self { url, letters, mood })
    }

    /// From now on every mail is told to come later, or taken again.
    pub fn be_busy(&self, busy: bool) {
        self.mood.busy.store(busy, Ordering::SeqCst);
    }

    /// From now on it takes a second to say that it has a mail, or says so at once again.
    pub fn be_slow(&self, slow: bool) {
        self.mood.slow.store(slow, Ordering::SeqCst);
    }
}

fn serve(stream: TcpStream, letters: &Sender<Letter>, mood: &Mood) -> Option<()> {
    let mut lines = BufReader::new(stream);
    let say = |lines: &mut BufReader<TcpStream>, words: &str| {
        lines.get_mut().write_all(format!("{words}\r\n").as_bytes()).ok()
    };
    say(&mut lines, "220 mail.test")?;
    let (mut from, mut to) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let word = line.split([' ', ':', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" | "HELO" => say(&mut lines, "250 mail.test")?,
            "MAIL" => {
                from = address();
                say(&mut lines, "250 ok")?;
            }
            "RCPT" => {
                to = address();
                say(
                    &mut lines,
                    if mood.busy.load(Ordering::SeqCst) { "451 come back later" } else { "250 ok" },
                )?;
            }
            "DATA" => {
                say(&mut lines, "354 go on")?;
                let mut data = String::new();
                while !data.ends_with("\r\n.\r\n") {
                    if lines.read_line(&mut data).ok()? == 0 {
                        return None;
                    }
                }
                letters.send(Letter { from: from.clone(), to: to.clone(), data }).ok()?;
                if mood.slow.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_secs(1));
                }
                say(&mut lines, "250 taken")?;
            }
            "QUIT" => {
                say(&mut lines, "221 bye")?;
                return None;
            }
            _ => say(&mut lines, "250 ok")?,
        }
    }
}
