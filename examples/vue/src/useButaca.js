// Butaca as Vue composables. The client keeps the state; Vue only reads it.

import { onScopeDispose, ref, shallowRef, toValue, triggerRef, watch } from "vue";
import { ButacaClient } from "../../../static/butaca-client.js";

/** One connection for as long as the component lives. */
export function useClient(url, name) {
  const client = new ButacaClient({ url, clientId: name, userInfo: { name }, protocol: "v1" });
  const status = ref(client.status);
  useButacaEvent(client, "status", (detail) => {
    status.value = detail.status;
  });
  client.connect();
  onScopeDispose(() => client.close());
  return { client, status };
}

/** Calls `act` for each event of that type until the component is gone. */
export function useButacaEvent(client, type, act) {
  const listener = ({ detail }) => act(detail);
  client.addEventListener(type, listener);
  onScopeDispose(() => client.removeEventListener(type, listener));
}

/** The room whose id `roomId` holds; changing it leaves the old room and joins the new one. */
export function useRoom(client, roomId) {
  const room = shallowRef(client.room(toValue(roomId)));
  watch(
    () => toValue(roomId),
    (next, previous) => {
      if (previous !== undefined) client.leave(previous);
      client.join(next);
      room.value = client.room(next);
    },
    { immediate: true },
  );
  useButacaEvent(client, "change", (detail) => {
    if (detail.roomId === toValue(roomId)) triggerRef(room);
  });
  return room;
}

/** A number that grows every `ms` milliseconds: for countdowns. */
export function useTicker(ms) {
  const tick = ref(0);
  const timer = setInterval(() => {
    tick.value += 1;
  }, ms);
  onScopeDispose(() => clearInterval(timer));
  return tick;
}
