//! Every request and reply of the protocol, as dialogues.

use crate::harness::check;

#[test]
fn joining_and_leaving() {
    check(
        &[],
        &[
            (
                "an empty room has no selections to tell",
                r#"
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a","seq":0}
                a> {"type":"ping"}
                a< {"type":"pong"}
                "#,
            ),
            (
                "a room with selections tells them, and their users",
                r#"
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1","user_info":{"name":"Ana","n":[1,2.5,null]}}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b","seq":1}
                b< {"type":"current_selections","room_id":"$1","seq":1,"selections":[{"client_id":"a","seat_id":"A1","room_id":"$1","user_info":{"name":"Ana","n":[1,2.5,null]}}]}
                b~ $1
                "#,
            ),
            (
                "nobody is told of who comes and goes",
                r#"
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a"}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b"}
                b> {"type":"leave_room","room_id":"$1"}
                b< {"type":"room_left","room_id":"$1","client_id":"b"}
                a~ $1
                "#,
            ),
            (
                "leaving without having joined is answered, and leaving keeps the holds",
                r#"
                a> {"type":"leave_room","room_id":"$1"}
                a< {"type":"room_left","room_id":"$1","client_id":"a"}
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a"}
                a> {"type":"leave_room","room_id":"$1"}
                a< {"type":"room_left","room_id":"$1","client_id":"a"}
                b> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                b< {"type":"error","code":"seat_taken","room_id":"$1","seat_id":"A1","request_type":"select_seat"}
                GET /room/$1/selections {"room_id":"$1","count":1,"selections":[{"client_id":"a","seat_id":"A1","room_id":"$1","user_info":{}}]}
                "#,
            ),
            (
                "who has left hears nothing more, and joining again tells the state",
                r#"
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a","seq":0}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b","seq":0}
                b> {"type":"leave_room","room_id":"$1"}
                b< {"type":"room_left","room_id":"$1","client_id":"b"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b~ $1
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b","seq":1}
                b< {"type":"current_selections","room_id":"$1","seq":1,"selections":[{"client_id":"a","seat_id":"A1","room_id":"$1","user_info":{}}]}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b","seq":1}
                b< {"type":"current_selections","room_id":"$1","seq":1,"selections":[{"client_id":"a","seat_id":"A1","room_id":"$1","user_info":{}}]}
                a> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","seq":2,"reason":"released"}
                b< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","seq":2,"reason":"released"}
                b~ $1
                "#,
            ),
        ],
    );
}

#[test]
fn selecting_and_releasing() {
    check(
        &[],
        &[
            (
                "the holder's answer has no user_info, the others' news have it",
                r#"
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a"}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1","user_info":{"name":"Ana"},"more":[{}]}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","user_info":{"name":"Ana"},"seq":1}
                b> {"type":"select_seat","room_id":"$1","seat_id":"A2"}
                b< {"type":"seat_selected","seat_id":"A2","room_id":"$1","client_id":"b","seq":2}
                a< {"type":"seat_selected","seat_id":"A2","room_id":"$1","client_id":"b","user_info":{},"seq":2}
                a> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","seq":3,"reason":"released"}
                b< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","seq":3,"reason":"released"}
                a~ $1
                b~ $1
                "#,
            ),
            (
                "first wins, and a refusal is told to nobody else",
                r#"
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a"}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","user_info":{},"seq":1}
                b> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                b< {"type":"error","code":"seat_taken","room_id":"$1","seat_id":"A1","request_type":"select_seat"}
                b> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
                b< {"type":"error","code":"not_owner","room_id":"$1","seat_id":"A1","request_type":"release_seat"}
                b> {"type":"release_seat","room_id":"$1","seat_id":"A2"}
                b< {"type":"error","code":"not_held","room_id":"$1","seat_id":"A2","request_type":"release_seat"}
                a~ $1
                b~ $1
                "#,
            ),
            (
                "selecting one's own seat again changes nothing",
                r#"
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a"}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1","user_info":{"name":"first"}}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","user_info":{"name":"first"},"seq":1}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1","user_info":{"name":"second"}}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b~ $1
                "#,
            ),
            (
                "who has not joined gets its answers and no news",
                r#"
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b> {"type":"select_seat","room_id":"$1","seat_id":"A2"}
                b< {"type":"seat_selected","seat_id":"A2","room_id":"$1","client_id":"b","seq":2}
                a~ $1
                a> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","seq":3,"reason":"released"}
                b~ $1
                "#,
            ),
            (
                "a room and a seat are never one string",
                r#"
                a> {"type":"select_seat","room_id":"$1:y","seat_id":"z"}
                a< {"type":"seat_selected","seat_id":"z","room_id":"$1:y","client_id":"a"}
                b> {"type":"select_seat","room_id":"$1","seat_id":"y:z"}
                b< {"type":"seat_selected","seat_id":"y:z","room_id":"$1","client_id":"b"}
                "#,
            ),
        ],
    );
}

#[test]
fn who_owns_a_hold() {
    check(
        &[],
        &[
            (
                "two connections with one client_id are two participants",
                r#"
                a+ same
                b+ same
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"same"}
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"same"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"same","seq":1}
                b< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"same","user_info":{},"seq":1}
                b> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
                b< {"type":"error","code":"not_owner","room_id":"$1","seat_id":"A1","request_type":"release_seat"}
                b> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                b< {"type":"error","code":"seat_taken","room_id":"$1","seat_id":"A1","request_type":"select_seat"}
                b.
                a~ $1
                c+ same
                c> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
                c< {"type":"error","code":"not_owner","room_id":"$1","seat_id":"A1","request_type":"release_seat"}
                a> {"type":"release_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"same","seq":2,"reason":"released"}
                "#,
            ),
            (
                "the holds of a connection that ends are released, in every room, member or not",
                r#"
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b"}
                c> {"type":"join_room","room_id":"$2"}
                c< {"type":"room_joined","room_id":"$2","client_id":"c"}
                a> {"type":"join_room","room_id":"$1"}
                a< {"type":"room_joined","room_id":"$1","client_id":"a"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                a> {"type":"select_seat","room_id":"$2","seat_id":"B1"}
                a< {"type":"seat_selected","seat_id":"B1","room_id":"$2","client_id":"a","seq":1}
                b< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","user_info":{},"seq":1}
                c< {"type":"seat_selected","seat_id":"B1","room_id":"$2","client_id":"a","user_info":{},"seq":1}
                a.
                b< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","seq":2,"reason":"disconnected"}
                c< {"type":"seat_released","seat_id":"B1","room_id":"$2","client_id":"a","seq":2,"reason":"disconnected"}
                b~ $1
                c~ $2
                "#,
            ),
            (
                "half a goodbye is one: the answers still come, the holds go",
                r#"
                b> {"type":"join_room","room_id":"$1"}
                b< {"type":"room_joined","room_id":"$1","client_id":"b"}
                a> {"type":"select_seat","room_id":"$1","seat_id":"A1"}
                a< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","seq":1}
                b< {"type":"seat_selected","seat_id":"A1","room_id":"$1","client_id":"a","user_info":{},"seq":1}
                a/
                b< {"type":"seat_released","seat_id":"A1","room_id":"$1","client_id":"a","seq":2,"reason":"disconnected"}
                "#,
            ),
        ],
    );
}
