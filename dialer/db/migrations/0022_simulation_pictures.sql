-- Pictures of a simulation are drawn from its result when they are asked for.
alter table simulations drop column picture;    -- and the rule that named it
alter table simulations add check ((state = 'done') = (result is not null));
delete from simulations where state = 'done';   -- their results have no points to draw
