//! The network: everything is started here, and ends with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::desk::{self, Desk};
use crate::error::DemoError;
use crate::life::{self, Pace};
use crate::names::Names;
use crate::people::{self, PEOPLE, Resident, Sample};
use crate::place::{Around, Place};
use crate::plc::{self, Directory};
use crate::relay::{self, Relay};

/// Names of the hosts. The last one is the one that can be gone.
const HOSTS: [&str; 2] = ["north", "south"];

/// What network to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// An empty directory for everything that it keeps.
    pub dir: PathBuf,
    /// How much goes on.
    pub pace: Pace,
    /// Where chance begins: the same people say the same things.
    pub seed: u64,
}

/// A running network. It ends when it is closed or dropped.
pub struct Network {
    /// Origin of the PLC directory, which is also where the desk is.
    pub directory: String,
    /// The name server.
    pub names: SocketAddr,
    /// The stream of both hosts: `ws://…`.
    pub relay: String,
    /// Everybody who lives there.
    pub people: Vec<Sample>,
    places: Arc<Vec<Place>>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Network {
    /// Starts one. Everything is there when this answers.
    ///
    /// # Errors
    /// No free port, or no room.
    pub async fn start(options: &Options) -> Result<Self, DemoError> {
        let mut tasks = JoinSet::new();
        let directory = Arc::new(Directory::default());
        let (directory_listener, directory_url) = listen().await?;
        let names = Names::bind().await?;
        let around = Around { plc_url: directory_url.clone(), names: names.address };
        tasks.spawn(names.serve(Arc::clone(&directory)));
        let mut places = Vec::new();
        for name in HOSTS {
            let dir = options.dir.join(name);
            std::fs::create_dir_all(dir.join("spool")).map_err(DemoError::machine("make its directories"))?;
            places.push(Place::open(name, &dir, &around).await?);
        }
        let places = Arc::new(places);
        for place in places.iter() {
            for job in p2pds_host::jobs::all(&place.host) {
                tasks.spawn(p2pds_host::jobs::run(job, place.host.clone(), std::future::pending()));
            }
        }
        let desk = Arc::new(Desk::new(Arc::clone(&places)));
        let routes = plc::router(Arc::clone(&directory)).merge(desk::router(Arc::clone(&desk)));
        serve(&mut tasks, directory_listener, routes);
        let mut chance = Chance::new(options.seed);
        let residents = populate(options, &places, &mut chance).await?;
        let people: Vec<Sample> = residents.iter().map(|resident| resident.sample.clone()).collect();
        desk.knows(people.clone());
        let merged = Arc::new(Relay::default());
        for place in places.iter() {
            tasks.spawn(Arc::clone(&merged).listen(place.host.clone()));
        }
        let (relay_listener, relay_url) = listen().await?;
        serve(&mut tasks, relay_listener, relay::router(merged));
        if let Pace::Every(every) = options.pace {
            tasks.spawn(life::go_on(residents, Arc::clone(&places), chance, every));
        }
        let relay = relay_url.replacen("http", "ws", 1);
        Ok(Self { directory: directory_url, names: around.names, relay, people, places, tasks })
    }

    /// Ends it, and waits until its files are let go.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        for place in self.places.iter() {
            place.close().await;
        }
    }
}

async fn populate(
    options: &Options,
    places: &[Place],
    chance: &mut Chance,
) -> Result<Vec<Resident>, DemoError> {
    let mut residents = Vec::new();
    for person in PEOPLE {
        let Some(place) = places.get(person.place) else { continue };
        let key = person.own_key.then(|| people::own_key(chance));
        let mut resident = people::sign_up(person, place, key.as_ref().map(|(key, _)| key)).await?;
        if let Some((_, text)) = &key {
            let path = options.dir.join(format!("{}.rotation-key", person.name));
            std::fs::write(&path, format!("{text}\n")).map_err(DemoError::machine("write a key file"))?;
            resident.sample.rotation_key = Some(path);
        }
        people::settle(person, &mut resident, place, chance).await?;
        residents.push(resident);
    }
    people::mingle(&mut residents, places, chance).await?;
    Ok(residents)
}

async fn listen() -> Result<(TcpListener, String), DemoError> {
    let bind = DemoError::machine("open a port on 127.0.0.1");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(bind)?;
    let port = listener.local_addr().map_err(DemoError::machine("learn a port"))?.port();
    Ok((listener, format!("http://localhost:{port}")))
}

fn serve(tasks: &mut JoinSet<()>, listener: TcpListener, routes: Router) {
    tasks.spawn(async move {
        let _ = axum::serve(listener, routes).await;
    });
}
